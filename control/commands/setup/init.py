"""``init``: write a commented thord.toml and make the folders."""

from __future__ import annotations

import contextlib

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.paths import as_service
from control.service.process import resolve_settings
from control.terminal import output


class InitOptions(Options):
    """What ``init`` is given."""

    profile: str | None


def add(commands: Commands) -> None:
    """Declare the command."""
    init = commands.add(
        "init",
        "write a commented thord.toml and create the folders",
        _init,
        "thorctl init\nthorctl -H /srv/thord init --profile tiny",
        "An existing thord.toml is never overwritten.",
    )
    init.add_argument("--profile", metavar="NAME", help="defaults for a kind of machine, such as tiny or cpu")


def _init(options: InitOptions) -> int:
    from control.setup.settings_file import create

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
