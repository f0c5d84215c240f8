"""``versions version promote rollback``: what was learned, and what serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import exit_status
from control.cli.parser import Commands, Options, connect
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.answers import Json, Version


_BAR = 20
"""Characters of the longest bar."""


class VersionOptions(Options):
    """What ``version`` is given."""

    version: str
    settings: bool
    diff: str | None


class PromoteOptions(Options):
    """What ``promote`` is given."""

    version: str
    force: bool


def add(commands: Commands) -> None:
    """Declare the commands."""
    commands.add(
        "versions", "list versions, newest first", _versions, "thorctl versions\nthorctl versions --json | jq '.[0]'"
    )
    version = commands.add(
        "version",
        "show one version, or what differs between two",
        _version,
        "thorctl version 12\nthorctl version 12 --diff 11\nthorctl version 12 --diff 11 --json",
    )
    version.add_argument("version", metavar="VERSION")
    version.add_argument("--settings", action="store_true", help="also show the settings it was trained with")
    version.add_argument("--diff", metavar="OTHER", help="show metrics and settings that differ from this version's")
    promote = commands.add(
        "promote",
        "put a version into service; nothing under way is disturbed",
        _promote,
        "thorctl promote 12\nthorctl promote 13 --force",
    )
    promote.add_argument("version", metavar="VERSION")
    promote.add_argument("--force", action="store_true", help="even if the gate rejected it")
    commands.add(
        "rollback",
        "put the version that served before back into service",
        _rollback,
        "thorctl rollback\nthorctl rollback --json | jq .version",
    )


def _versions(options: Options) -> int:
    versions = connect(options).versions()
    if options.json:
        output.emit(versions)
    elif not versions:
        output.say(
            "no version yet; for one that talks: thorctl import starter --promote; to train one: thorctl train --wait"
        )
    else:
        output.columns(
            ("VERSION", "STATE", "FROM", "CYCLE", "PARAMETERS", "CREATED", "SHA256", "BITS/BYTE"),
            (
                (
                    version["version"],
                    version["state"],
                    output.clean(version["parent"]),
                    output.clean(version["cycle"]),
                    output.figure(version["parameters"]),
                    output.moment(version["created_at"]),
                    version["sha256"][:12],
                    judged,
                )
                for version, judged in zip(versions, _curve(versions), strict=True)
            ),
            states=(1,),
        )
        output.say("\nbits per byte on the conversations that the version's own cycle held out; lower is better")
    return exit_status.DONE


def _curve(versions: Sequence[Version]) -> list[str]:
    """How good each version was when it was judged, as a figure and as a bar, which draws a curve down the column."""
    found = [version["metrics"].get("bits_per_byte") for version in versions]
    most = max((bits for bits in found if bits is not None), default=0.0)
    return [
        "-" if bits is None else f"{bits:.4f} {'#' * round(_BAR * bits / most) if most else ''}".rstrip()
        for bits in found
    ]


def _version(options: VersionOptions) -> int:
    thord = connect(options)
    version = thord.version(options.version)
    if options.diff is not None:
        _show_difference(version, thord.version(options.diff), options)
    elif options.json:
        output.emit(version)
    else:
        output.fields(
            {
                "version": version["version"],
                "state": output.paint_state(version["state"]),
                "from version": output.clean(version["parent"]),
                "cycle": output.clean(version["cycle"]),
                **({"adapter for": f"version {base}"} if (base := version.get("base")) else {}),
                **({"in memory": form} if (form := version.get("form")) else {}),
                **({"size": output.size(size)} if (size := version.get("bytes")) else {}),
                "created": output.moment(version["created_at"]),
                **_said_of_itself(version),
                "parameters": output.figure(version["parameters"]),
                "how good it is": quality["words"] if (quality := version.get("quality")) else "-",
                "sha256": version["sha256"],
                **({"note": output.clean(note)} if (note := version.get("note")) else {}),
                **({"pinned": "yes"} if version.get("pinned") else {}),
                **({"purged": _purged(version)} if version.get("purged_at") else {}),
                **({"weights": _kept(version)} if version.get("kept_because") else {}),
            }
        )
        for name in ("metrics", "settings") if options.settings else ("metrics",):
            if figures := _flat(version.get(name)):
                output.say(f"\n{name}")
                output.fields({f"  {key}": _figure(key, value) for key, value in figures.items()})
        if not options.settings and version.get("settings"):
            output.say(f"\nthe settings it was trained with: thorctl version {options.version} --settings")
        if version["cycle"] is not None:
            from control.commands.learning.cycle_text import where_answers_are

            output.say(where_answers_are(version["cycle"]))
    return exit_status.DONE


def _said_of_itself(version: Version) -> dict[str, str]:
    """Where an imported model came from, and what it says of itself."""
    settings = version.get("settings")
    imported = settings.get("imported") if isinstance(settings, dict) else None
    if not isinstance(imported, dict):
        return {}
    titles = {
        "from": "imported from",
        "name": "its name",
        "maker": "its maker",
        "licence": "its licence",
        "url": "its page",
    }
    return {title: output.clean(imported[key]) for key, title in titles.items() if key in imported}


def _purged(version: Version) -> str:
    return f"{output.moment(version.get('purged_at'))}: {output.clean(version.get('purged_why'))}"


def _kept(version: Version) -> str:
    until = f", until {output.moment(version['kept_until'])} at the latest" if version.get("kept_until") else ""
    return f"kept: {output.clean(version.get('kept_because'))}{until}"


def _promote(options: PromoteOptions) -> int:
    return _say_serving(connect(options).promote(options.version, force=options.force), options)


def _rollback(options: Options) -> int:
    return _say_serving(connect(options).rollback(), options)


def _say_serving(version: Version, options: Options) -> int:
    if options.json:
        output.emit(version)
    else:
        output.say(f"version {version['version']} is {version['state']}")
    return exit_status.DONE


def _show_difference(one: Version, other: Version, options: Options) -> None:
    differences = {name: difference(one.get(name), other.get(name)) for name in ("metrics", "settings")}
    names = (other["version"], one["version"])
    if options.json:
        output.emit({"from": names[0], "to": names[1], **differences})
        return
    rows = [
        (f"{kind}.{key}", output.figure(pair["from"]), output.figure(pair["to"]))
        for kind, pairs in differences.items()
        for key, pair in pairs.items()
    ]
    if rows:
        output.columns(("", *names), rows)
    else:
        output.say(f"{names[0]} and {names[1]} have the same metrics and settings")


def difference(one: object, other: object) -> dict[str, dict[str, Json]]:
    """The leaves of two nested objects that differ: dotted name to ``{"from": in other, "to": in one}``."""
    new, old = _flat(one), _flat(other)
    return {
        key: {"from": old.get(key), "to": new.get(key)}
        for key in sorted(new.keys() | old.keys())
        if old.get(key) != new.get(key)
    }


def _figure(key: str, value: Json) -> str:
    """A setting or metric; a port is a name, not a quantity."""
    return str(value) if key.endswith(".port") else output.figure(value)


def _flat(value: object, prefix: str = "") -> dict[str, Json]:
    """Nested objects as one, with dotted names."""
    leaves: dict[str, Json] = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            leaves.update(_flat(inner, f"{prefix}{name}."))
        else:
            leaves[f"{prefix}{name}"] = inner
    return leaves
