"""``fold``: an adapter is merged into its base, and the version that comes of it is a base itself."""

from __future__ import annotations

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.terminal import output, waiting


class FoldOptions(Options):
    """What ``fold`` is given."""

    version: str | None
    promote: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    fold = commands.add(
        "fold",
        "merge the adapter of a version into its base, as a new version",
        _fold,
        "thorctl fold --promote\nthorctl fold 12",
        "The new version answers as the adapter beside its base does, which is checked, and has weights of its own: it "
        "takes as much disk as the base. The next cycle after it begins an adapter that changes nothing yet. thord "
        "does so by itself where an adapter has used up its rank.",
    )
    fold.add_argument("version", metavar="V", nargs="?", help="unset: the version in service")
    fold.add_argument("--promote", action="store_true", help="put it into service at once")


def _fold(options: FoldOptions) -> int:
    thord = connect(options)
    adapter = options.version or thord.status()["version"]
    if adapter is None:
        raise errors.NotFoundError("no version is in service: name the one to fold; see 'thorctl versions'")
    say = output.say_error if options.json else output.say
    version = waiting.wait(lambda: thord.fold(adapter), thord, "trainer", say)
    if options.promote:
        version = thord.promote(version["version"])
    if options.json:
        output.emit(version)
        return exit_status.DONE
    output.say(f"version {version['version']} has the adapter in its weights, and is {version['state']}")
    if not options.promote:
        output.say(f"put it into service with: thorctl promote {int(version['version'])}")
    return exit_status.DONE
