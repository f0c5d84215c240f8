"""``start stop restart reload``: start and stop the service or its workers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.arguments import WorkerOptions, add_workers
from control.cli.parser import Commands, Options, connect, seconds
from control.commands.service.status import FIRST_STEPS, base_url, show_workers
from control.paths import chosen_home
from control.terminal import output

if TYPE_CHECKING:
    import argparse

    from control.answers import Status
    from control.client import Thord
    from control.service.systemd import Unit


class StartOptions(WorkerOptions):
    """What ``start`` and ``restart`` are given."""

    env_file: str | None
    profile: str | None
    set: list[str]
    timeout: float
    foreground: bool
    now: bool


class StopOptions(WorkerOptions):
    """What ``stop`` is given."""

    now: bool


_AS_EVER: dict[str, object] = {"workers": [], "env_file": None, "profile": None, "set": [], "timeout": 300.0}
"""Options of a start that nobody asked for anything else."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    start = commands.add(
        "start",
        "start thord and wait until it is ready; or start workers",
        _start,
        """
        thorctl start
        thorctl -H /srv/thord start --profile tiny --set schedule.interval_minutes=5
        thorctl start --foreground
        thorctl start server
        """,
        "If the systemd unit is installed and no --home is given, systemd starts it.",
    )
    add_workers(start)
    _add_start_options(start)
    start.add_argument("--foreground", action="store_true", help="run in the foreground, until Ctrl-C")

    stop = commands.add(
        "stop",
        "stop thord and wait until it is gone; or stop workers",
        _stop,
        "thorctl stop\nthorctl stop --now\nthorctl stop server",
        "Answers under way are finished and a training run is saved first. It is not an error if thord is not running.",
    )
    add_workers(stop)
    stop.add_argument("--now", action="store_true", help="do not wait for what is under way")

    restart = commands.add(
        "restart",
        "stop and start thord, or workers",
        _restart,
        "thorctl restart\nthorctl restart server",
        "Options of the last start are not remembered; put settings you want to keep in thord.toml.",
    )
    add_workers(restart)
    _add_start_options(restart)
    restart.add_argument("--now", action="store_true", help="do not wait for what is under way")

    commands.add(
        "reload",
        "read thord.toml again and apply what can change live",
        _reload,
        "thorctl reload\nthorctl reload --json | jq .needs_restart",
    )


def _add_start_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", metavar="NAME", help="defaults for a kind of machine, such as tiny or cpu")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, for this run only")
    command.add_argument(
        "--env-file", metavar="FILE", help="read variables from this file, instead of .env beside thord.toml"
    )
    command.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="how long to wait until it is ready (300)"
    )


def _start(options: StartOptions) -> int:
    _take_home_of_file(options)
    thord = connect(options)
    if options.workers:
        return _each_worker(thord, options, "start")
    if options.foreground:
        from control.service.process import run_in_foreground

        run_in_foreground(_arguments(options))
    try:
        status = thord.status()
    except errors.NotRunningError:
        return _say_started(_launch(thord, options), options, "runs")
    from control.service.process import wait_gone, wait_ready

    if status["state"] == "stopping":
        wait_gone(status["pid"], options.timeout)
        return _say_started(_launch(thord, options), options, "runs")
    if status["state"] == "starting":
        status = wait_ready(thord, status["pid"], options.timeout)
    return _say_started(status, options, "is already running")


def ensure_running(options: Options) -> Thord:
    """The thord that the options point to; started, and said so, where none runs.

    Raises:
        ThordError: it could not be started, and why.
    """
    thord = connect(options)
    try:
        status = thord.status()
    except errors.NotRunningError:
        if options.socket:
            raise
        output.say_error("thord is not running; starting it")
        started = StartOptions(**{**vars(options), **_AS_EVER})
        _launch(thord, started)
        return thord
    if status["state"] == "starting":
        from control.service.process import wait_ready

        wait_ready(thord, status["pid"], 300.0)
    return thord


def _launch(thord: Thord, options: StartOptions) -> Status:
    unit = _launcher(thord, options)
    if unit:
        unit.act("start")
        return thord.status()
    from control.service.process import start_detached

    return start_detached(thord, _arguments(options), options.timeout)


def _launcher(thord: Thord, options: StartOptions) -> Unit | None:
    """The unit that starts thord here; none where thorctl does it.

    Raises:
        UsageError: it takes no options.
    """
    unit = _unit(thord, options)
    if unit and (options.profile or options.set):
        raise errors.UsageError(
            f"{unit.file} starts thord here, with the settings in {thord.paths.config}; write profile and settings "
            "there, or give a --home of its own"
        )
    return unit


def _say_started(status: Status, options: Options, verb: str) -> int:
    if options.json:
        output.emit(status)
    else:
        output.say(f"thord {verb}, pid {status['pid']}, {status['state']}; API at {base_url(status)}")
        with contextlib.suppress(errors.ThordError):  # a thord that is degraded may not say
            found = connect(options).configuration()
            output.say(f"profile {found['profile']}, {found['why']}")
        if status["version"] is None:
            output.say(f"it has no model yet; {FIRST_STEPS}")
        for name, worker in status["workers"].items():
            if worker["state"] == "failed":
                output.say_error(f"{name} failed; see: thorctl logs {name}")
    return exit_status.FAILED if status["state"] == "degraded" else exit_status.DONE


def _stop(options: StopOptions) -> int:
    thord = connect(options)
    if options.workers:
        return _each_worker(thord, options, "stop")
    pid = _halt(thord, options, now=options.now)
    if options.json:
        output.emit({"state": "stopped", "pid": pid})
    else:
        output.say("thord was not running" if pid is None else f"thord has stopped (it was pid {pid})")
    return exit_status.DONE


def _halt(thord: Thord, options: Options, *, now: bool) -> int | None:
    """Stop thord and wait until it is gone; the pid it had."""
    from control.service.process import end_unresponsive, wait_gone

    unit = _unit(thord, options)
    engaged = unit is not None and unit.engaged
    try:
        pid = thord.status()["pid"]
    except errors.NotRunningError:
        pid = None
    except errors.NoAnswerError:
        if not engaged:
            return end_unresponsive(thord.control_socket, now=now)
        pid = None
    if pid is not None and (now or not engaged):
        with contextlib.suppress(errors.NotRunningError):  # It went away by itself in between.
            thord.stop(now=now)
    if unit is not None and engaged:
        unit.act("stop")
    if pid is not None:
        wait_gone(pid)
    return pid


def _restart(options: StartOptions) -> int:
    _take_home_of_file(options)
    thord = connect(options)
    if options.workers:
        return _each_worker(thord, options, "restart")
    if _launcher(thord, options) is None:  # with wrong settings, rather let the one run that does
        from control.service.process import check_settings

        check_settings(_arguments(options))
    _halt(thord, options, now=options.now)
    return _say_started(_launch(thord, options), options, "runs")


def _reload(options: Options) -> int:
    result = connect(options).reload()
    warnings = result.get("warnings", [])
    status = exit_status.FAILED if warnings else exit_status.DONE
    if options.json:
        output.emit(result)
        return status
    output.say(f"applied: {', '.join(result['applied'])}" if result["applied"] else "nothing to apply")
    if result["needs_restart"]:
        output.say(f"needs a restart (thorctl restart): {', '.join(result['needs_restart'])}")
    for note in result.get("notes", []):
        output.say(note)
    for warning in warnings:
        output.say_error(f"warning: {warning}")
    return status


def _each_worker(thord: Thord, options: WorkerOptions, verb: str) -> int:
    act = {"start": thord.start_worker, "stop": thord.stop_worker, "restart": thord.restart_worker}[verb]
    for name in options.workers:
        act(name)
    workers = thord.status()["workers"]
    chosen = {name: workers[name] for name in options.workers if name in workers}
    if options.json:
        output.emit(chosen)
    else:
        show_workers(chosen)
    return exit_status.DONE


def _unit(thord: Thord, options: Options) -> Unit | None:
    from control.service import systemd

    return None if options.socket else systemd.find(thord.paths)


def _take_home_of_file(options: StartOptions) -> None:
    """Look where the thord will be that is started with a file of variables: it may choose the home."""
    if options.env_file and chosen_home(options.home) is None:
        from control import env_file

        try:
            options.home = env_file.home_in(Path(options.env_file))
        except env_file.EnvFileError as error:
            raise errors.UsageError(str(error), "bad_configuration") from None


def _arguments(options: StartOptions) -> list[str]:
    """Options of thorctl that are passed on to thord."""
    home = chosen_home(options.home)
    return [
        *(["--home", str(home)] if home else []),
        *(["--env-file", str(Path(options.env_file).absolute())] if options.env_file else []),
        *(["--profile", options.profile] if options.profile else []),
        *(word for setting in options.set for word in ("--set", setting)),
    ]
