"""``init config doctor install-service completion``: set thord up, and find out what is wrong with it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from control import errors, exit_status, output
from control.cli.parser import WORKERS, Commands, Options, connect
from control.paths import as_service
from control.process import resolve_settings
from control.watched import missing

if TYPE_CHECKING:
    import argparse

    from control.answers import Configuration, Json
    from control.doctor import Finding


class InitOptions(Options):
    """What ``init`` is given."""

    profile: str | None


class ConfigOptions(Options):
    """What ``config`` is given."""

    action: str


class DoctorOptions(Options):
    """What ``doctor`` is given."""

    plan: bool
    preset: str | None


class InstallOptions(Options):
    """What ``install-service`` is given."""

    user: bool
    uninstall: bool
    dry_run: bool
    socket_activation: bool
    keys: str | None


class CompletionOptions(Options):
    """What ``completion`` is given."""

    shell: str


ALL_SIZES = "all"
SHELLS = ("bash", "zsh", "tcsh", "fish")


def add(commands: Commands) -> None:
    """Declare the commands."""
    init = commands.add(
        "init",
        "write a commented thord.toml and make the folders",
        _init,
        "thorctl init\nthorctl -H /srv/thord init --profile tiny",
        "A thord.toml that is there is never overwritten.",
    )
    init.add_argument("--profile", metavar="NAME", help="defaults for a kind of machine, such as tiny or cpu")
    config = commands.add(
        "config",
        "show the settings, all resolved; or check thord.toml",
        _config,
        "thorctl config\nthorctl config show --json | jq .settings.training\nthorctl config check",
    )
    config.add_argument("action", nargs="?", choices=("show", "check"), default="show")
    doctor = commands.add(
        "doctor",
        "find what is wrong and say how to mend it",
        _doctor,
        """
        thorctl doctor
        thorctl doctor --json | jq '.checks[] | select(.level != "ok")'
        thorctl doctor --plan --preset 800m
        thorctl doctor --plan --preset all
        """,
        "Exit status 1 where something is broken; warnings alone are 0.",
    )
    doctor.add_argument("--plan", action="store_true", help="train for a moment, and say what a model needs and gives")
    doctor.add_argument(
        "--preset",
        metavar="NAME",
        help="with --plan: another size than that of the settings, or 'all' of them in a table",
    )
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
        "Settings and data are left alone, also by --uninstall.",
    )
    install.add_argument("--user", action="store_true", help="for this user, without root")
    install.add_argument(
        "--socket-activation", action="store_true", help="let systemd listen for the API: it outlives restarts"
    )
    install.add_argument("--keys", metavar="FILE", help="API keys, one a line, in a file that only root need read")
    install.add_argument("--uninstall", action="store_true", help="stop thord and remove the unit")
    install.add_argument("--dry-run", action="store_true", help="only say what would be done")
    completion = commands.add(
        "completion",
        "print a shell's completion script",
        _completion,
        """
        source <(thorctl completion bash)
        thorctl completion bash > ~/.local/share/bash-completion/completions/thorctl
        thorctl completion zsh > ~/.zfunc/_thorctl
        thorctl completion fish > ~/.config/fish/completions/thorctl.fish
        """,
    )
    completion.add_argument("shell", choices=SHELLS)


def _init(options: InitOptions) -> int:
    from control.init import create

    paths = connect(options).paths
    suits = None
    if options.profile is None:
        with contextlib.suppress(errors.ThordError):  # `create` says better what is in the way
            suits = resolve_settings(options.home)["profile"]
    create(paths, options.profile, suits)
    found = resolve_settings(options.home)
    if options.json:
        places = {"config": str(paths.config), "home": str(paths.state), "inbox": str(paths.inbox)}
        output.emit({**places, "profile": found["profile"], "why": found["why"]})
    else:
        at = f" -H {options.home}" if options.home else ""
        output.say(f"wrote {paths.config}; profile {found['profile']}, {found['why']}")
        if paths == as_service():
            output.say("these are the service's folders, since you are root; --home DIR chooses others")
        output.say(f"put conversations into {paths.inbox}")
        output.say(f"then: thorctl{at} import starter --promote, for a model that talks at once")
        output.say(f"or:   thorctl{at} start, to train one from scratch")
    return exit_status.DONE


def _config(options: ConfigOptions) -> int:
    thord = connect(options)
    if options.action == "check":
        resolved = resolve_settings(options.home)
        warnings = list(missing(resolved["settings"]))
        if options.json:
            output.emit({"ok": True, "profile": resolved["profile"], "why": resolved["why"], "warnings": warnings})
        else:
            output.say(f"{thord.paths.config} is fine; profile {resolved['profile']}, {resolved['why']}")
            for warning in warnings:
                output.say_error(f"warning: {output.clean(warning)}; it is watched once it is there")
        return exit_status.DONE
    try:
        found = thord.configuration()
    except errors.NotRunningError:
        found = resolve_settings(options.home)
    if options.json:
        output.emit(found)
    else:
        _show_toml(found)
    return exit_status.DONE


def _show_toml(found: Configuration) -> None:
    """As ``thord.toml`` would say it, with the origin of what is not at its default. TOML knows no null: left out."""
    import tomli_w

    section = ""
    output.say(f"# profile {found['profile']}: {found['why']}")
    for line in tomli_w.dumps(_without_nulls(found["settings"])).splitlines():
        if line.startswith("["):
            section = f"{line.strip('[]')}."
        origin = found["origins"].get(section + line.partition(" = ")[0])
        output.say(f"{line}  {output.paint(f'# {origin}', 'dim')}" if origin else line)


def _without_nulls(table: dict[str, Json]) -> dict[str, Json]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if value is not None
    }


def _doctor(options: DoctorOptions) -> int:
    from control.doctor import examine

    if options.plan:
        return _plan(options)
    if options.preset:
        raise errors.UsageError("--preset goes with --plan")
    findings: list[Finding] = []
    for finding in examine(connect(options), options.home):
        findings.append(finding)
        if not options.json:
            mark = output.paint_state(finding.level) + " " * (4 - len(finding.level))
            output.say(f"{mark}  {finding.check:<12}  {output.clean(finding.message)}")
            if finding.remedy:
                output.say(f"{'':4}  {'':<12}  -> {finding.remedy}")
    ok = all(finding.level != "fail" for finding in findings)
    if options.json:
        output.emit({"ok": ok, "checks": [finding._asdict() for finding in findings]})
    return exit_status.DONE if ok else exit_status.FAILED


def _plan(options: DoctorOptions) -> int:
    from control import plan

    if options.preset == ALL_SIZES:
        return _plan_sizes(options)
    found = plan.plan(options.home, options.preset, connect(options).paths)
    if options.json:
        output.emit(found)
    else:
        output.fields(plan.lines(found))
    return exit_status.DONE


def _plan_sizes(options: DoctorOptions) -> int:
    from control import plan

    def begin(name: str) -> None:
        if output.on_terminal() and not options.json:
            output.say_error(f"measuring {name} ...")

    found = plan.sizes(options.home, begin)
    largest = plan.largest(found)
    if options.json:
        output.emit({"sizes": found, "largest": largest})
        return exit_status.DONE
    output.columns(plan.HEAD, map(plan.row, found))
    if largest is None:
        output.say("none can be trained here while it answers: lower training.length or inference.max_batch")
    else:
        output.say(f"the largest that can be trained here while it answers: {largest} (model.preset)")
    return exit_status.DONE


def _install(options: InstallOptions) -> int:
    from control import install_service

    if options.home or options.socket:
        raise errors.UsageError("a unit runs thord in its usual places; leave --home and --socket away")
    steps = []
    wanted = install_service.steps(
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


def _completion(options: CompletionOptions) -> int:
    import shtab

    from control.cli.main import build

    parser = build()
    _complete_paths(parser)
    script = shtab.complete(parser, shell=options.shell)
    if options.json:
        output.emit({"shell": options.shell, "script": script})
    else:
        output.say(script)
    return exit_status.DONE


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Tell shtab which arguments are files and folders, by what their help calls them; and the names of some others."""
    import argparse

    import shtab

    from control.init import profile_names

    kinds = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIRECTORY}
    names = {"workers": WORKERS, "worker": WORKERS, "profile": profile_names(), "task": ("chat", "text_generation")}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_paths(command)
        elif action.metavar in kinds:
            vars(action)["complete"] = kinds[action.metavar]
        elif action.dest in names:
            action.choices = names[action.dest]
