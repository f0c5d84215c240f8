"""``install-service``: install or remove the systemd unit."""

from __future__ import annotations

from control import errors, exit_status
from control.cli.parser import Commands, Options
from control.terminal import output


class InstallOptions(Options):
    """What ``install-service`` is given."""

    user: bool
    uninstall: bool
    dry_run: bool
    socket_activation: bool
    keys: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    install = commands.add(
        "install-service",
        "install the systemd unit",
        _install,
        """
        sudo thorctl install-service
        thorctl install-service --user
        sudo thorctl install-service --socket-activation
        sudo thorctl install-service --dry-run
        sudo thorctl install-service --uninstall
        """,
        "Settings and data are kept, even with --uninstall.",
    )
    install.add_argument("--user", action="store_true", help="for this user, without root")
    install.add_argument(
        "--socket-activation", action="store_true", help="let systemd listen for the API: it outlives restarts"
    )
    install.add_argument(
        "--keys", metavar="FILE", help="file of API keys, readable by root alone: one a line, with its scopes if wanted"
    )
    install.add_argument("--uninstall", action="store_true", help="stop thord and remove the unit")
    install.add_argument("--dry-run", action="store_true", help="only show what would be done")


def _install(options: InstallOptions) -> int:
    from control.setup import unit_installation

    if options.home or options.socket:
        raise errors.UsageError("a unit runs thord in its usual places; leave out --home and --socket")
    steps = []
    wanted = unit_installation.steps(
        user=options.user,
        uninstall=options.uninstall,
        socket_activation=options.socket_activation,
        keys=options.keys,
    )
    for step in wanted:
        steps.append(step.what)
        if not options.json:
            output.say(f"would {step.what}" if options.dry_run else step.what)
        if not options.dry_run:
            step.do()
    if options.json:
        output.emit({"done": not options.dry_run, "steps": steps})
    return exit_status.DONE
