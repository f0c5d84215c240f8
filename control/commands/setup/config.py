"""``config``: show the settings, or check thord.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.service.process import resolve_settings
from control.setup.watched_folders import missing
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Configuration, Json


class ConfigOptions(Options):
    """What ``config`` is given."""

    action: str


def add(commands: Commands) -> None:
    """Declare the command."""
    config = commands.add(
        "config",
        "show the settings, all resolved; or check thord.toml",
        _config,
        "thorctl config\nthorctl config show --json | jq .settings.training\nthorctl config check",
    )
    config.add_argument("action", nargs="?", choices=("show", "check"), default="show")


def _config(options: ConfigOptions) -> int:
    thord = connect(options)
    if options.action == "check":
        resolved = resolve_settings(options.home)
        warnings = list(missing(resolved["settings"]))
        if options.json:
            warnings = [*resolved.get("warnings", ()), *warnings]
            output.emit({"ok": True, "profile": resolved["profile"], "why": resolved["why"], "warnings": warnings})
        else:
            output.say(f"{thord.paths.config} is fine; profile {resolved['profile']}, {resolved['why']}")
            for warning in resolved.get("warnings", ()):
                output.say_error(f"warning: {output.clean(warning)}")
            for warning in warnings:
                output.say_error(f"warning: {output.clean(warning)}; thord watches it as soon as it exists")
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
