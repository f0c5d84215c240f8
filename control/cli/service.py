"""``start stop restart reload status``: the service and its workers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from control import errors, exit_status, output
from control.cli.parser import WORKERS, Commands, Options, connect, seconds
from control.paths import chosen_home

if TYPE_CHECKING:
    import argparse

    from control.answers import Cycle, Host, Status, Worker
    from control.client import Thord
    from control.systemd import Unit


class WorkerOptions(Options):
    """What commands on the service or on workers are given."""

    workers: list[str]


class StartOptions(WorkerOptions):
    """What ``start`` and ``restart`` are given."""

    profile: str | None
    set: list[str]
    timeout: float
    foreground: bool
    now: bool


class StopOptions(WorkerOptions):
    """What ``stop`` is given."""

    now: bool


_FIRST_STEPS = (
    "a small one that talks: thorctl import starter --promote; or your own, from scratch: thorctl ingest FILE"
)


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
        "Where the systemd unit is installed and no --home is given, systemd starts it.",
    )
    _add_workers(start)
    _add_start_options(start)
    start.add_argument("--foreground", action="store_true", help="do not detach: become thord, until Ctrl-C")

    stop = commands.add(
        "stop",
        "stop thord and wait until it is gone; or stop workers",
        _stop,
        "thorctl stop\nthorctl stop --now\nthorctl stop server",
        "Answers under way are finished and a training run is saved first. What is not running is no error.",
    )
    _add_workers(stop)
    stop.add_argument("--now", action="store_true", help="drain nothing")

    restart = commands.add(
        "restart",
        "stop and start thord, or workers",
        _restart,
        "thorctl restart\nthorctl restart server",
        "--profile and --set of the last start are not remembered: what shall last belongs into thord.toml.",
    )
    _add_workers(restart)
    _add_start_options(restart)
    restart.add_argument("--now", action="store_true", help="drain nothing")

    commands.add(
        "reload",
        "read thord.toml again and apply what can change live",
        _reload,
        "thorctl reload\nthorctl reload --json | jq .needs_restart",
    )
    status = commands.add(
        "status",
        "say what thord is doing",
        _status,
        "thorctl status\nthorctl status server\nthorctl status --json | jq .version",
        "Exit status 3 where thord, or a worker that is named, is not running.",
    )
    _add_workers(status)


def _add_workers(command: argparse.ArgumentParser) -> None:
    command.add_argument("workers", nargs="*", metavar="WORKER", help=f"of {', '.join(WORKERS)}")


def _add_start_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", metavar="NAME", help="defaults for a kind of machine, such as tiny or cpu")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, for this run only")
    command.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="wait for it this long (300)"
    )


def _start(options: StartOptions) -> int:
    thord = connect(options)
    if options.workers:
        return _each_worker(thord, options, "start")
    if options.foreground:
        from control.process import run_in_foreground

        run_in_foreground(_arguments(options))
    try:
        status = thord.status()
    except errors.NotRunningError:
        return _say_started(_launch(thord, options), options, "runs")
    from control.process import wait_gone, wait_ready

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
        started = StartOptions(**{**vars(options), "workers": [], "profile": None, "set": [], "timeout": 300.0})
        _launch(thord, started)
        return thord
    if status["state"] == "starting":
        from control.process import wait_ready

        wait_ready(thord, status["pid"], 300.0)
    return thord


def _launch(thord: Thord, options: StartOptions) -> Status:
    unit = _launcher(thord, options)
    if unit:
        unit.act("start")
        return thord.status()
    from control.process import start_detached

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
        output.say(f"thord {verb}, pid {status['pid']}, {status['state']}; API at {_base_url(status)}")
        with contextlib.suppress(errors.ThordError):  # a thord that is degraded may not say
            found = connect(options).configuration()
            output.say(f"profile {found['profile']}, {found['why']}")
        if status["version"] is None:
            output.say(f"it has no model yet; {_FIRST_STEPS}")
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
    from control.process import end_unresponsive, wait_gone

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
    thord = connect(options)
    if options.workers:
        return _each_worker(thord, options, "restart")
    if _launcher(thord, options) is None:  # with wrong settings, rather let the one run that does
        from control.process import check_settings

        check_settings(_arguments(options))
    _halt(thord, options, now=options.now)
    return _say_started(_launch(thord, options), options, "runs")


def _reload(options: Options) -> int:
    result = connect(options).reload()
    if options.json:
        output.emit(result)
        return exit_status.DONE
    output.say(f"applied: {', '.join(result['applied'])}" if result["applied"] else "nothing to apply")
    if result["needs_restart"]:
        output.say(f"needs a restart (thorctl restart): {', '.join(result['needs_restart'])}")
    return exit_status.DONE


def _status(options: WorkerOptions) -> int:
    status = connect(options).status()
    chosen = {name: _worker(status, name) for name in options.workers} or status["workers"]
    down = [name for name in options.workers if chosen[name]["pid"] is None]
    if options.json:
        output.emit(chosen if options.workers else status)
    else:
        if not options.workers:
            show(status)
            output.say()
        show_workers(chosen)
    return exit_status.NOT_RUNNING if down else exit_status.DONE


def show(status: Status) -> None:
    """Print a status for people, without its workers."""
    paint_state, duration = output.paint_state, output.duration
    cycle, counts = status["cycle"], status["conversations"]
    learning = f"number {cycle['id']} is {_doing(cycle)}" if cycle else "none"
    output.fields(
        {
            "thord": f"{paint_state(status['state'])}, pid {status['pid']}, up {duration(status['uptime_seconds'])}",
            **({"because": "; ".join(map(output.clean, reasons))} if (reasons := status.get("reasons")) else {}),
            **({"warning": "; ".join(map(output.clean, warnings))} if (warnings := status.get("warnings")) else {}),
            "home": output.clean(status["home"]),
            "api": output.clean(_base_url(status)),
            "version": status["version"] or f"none yet; {_FIRST_STEPS}",
            **({"how good it is": quality["words"]} if (quality := status.get("quality")) else {}),
            "cycle": f"{learning}; {next_cycle(status)}",
            "conversations": ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()),
            **({"not watched": _unwatched(unwatched)} if (unwatched := status.get("unwatched")) else {}),
            **({"host": _host(host)} if (host := status.get("host")) else {}),
        }
    )


def next_cycle(status: Status) -> str:
    """When the next cycle starts by itself."""
    if paused := status.get("paused"):
        since = output.moment(paused["since"])
        return f"paused by {output.clean(paused['by'])} since {since}; to go on: thorctl resume"
    if status.get("next_cycle_waits"):
        return "the next one is due and starts when this one has ended"
    if status["next_cycle_at"] is None:
        return "none starts by itself (schedule.enabled)"
    return f"next at {output.moment(status['next_cycle_at'])}"


def _unwatched(folders: dict[str, str]) -> str:
    return "; ".join(f"{output.clean(folder)}: {output.clean(reason)}" for folder, reason in folders.items())


def _base_url(status: Status) -> str:
    """What OpenAI clients are given as ``base_url``."""
    return f"{status['api']['url']}/v1"


def _host(host: Host) -> str:
    """``cpu 12%, memory 3.1 of 23.5 GiB, disk 149.0 of 252.0 GiB``, and each GPU."""
    parts = [f"cpu {host.get('cpu_percent', 0.0):.0f}%"]
    if memory := host.get("memory"):
        parts.append(f"memory {_used(memory['total'] - memory['free'], memory['total'])}")
    if disk := host.get("disk"):
        parts.append(f"disk {_used(disk['total'] - disk['free'], disk['total'])}")
    for gpu in host.get("gpus", []):
        busy = f" {gpu['utilization_percent']:.0f}%" if gpu["utilization_percent"] is not None else ""
        parts.append(f"{output.clean(gpu['name'])}{busy}, {_used(gpu['memory_used'], gpu['memory_total'])}")
    return ", ".join(parts)


def _used(used: int, total: int) -> str:
    return f"{used / 2**30:.1f} of {total / 2**30:.1f} GiB"


def _doing(cycle: Cycle) -> str:
    if "progress" not in cycle:
        return output.paint_state(cycle["state"])
    from control.cli.progress import describe

    return describe(cycle["progress"])


def show_workers(workers: dict[str, Worker]) -> None:
    """Print workers for people."""
    from control.cli.progress import slowed_down

    output.columns(
        ("WORKER", "STATE", "PID", "RESTARTS", "UP", "DOING"),
        (
            (
                name,
                worker["state"],
                output.clean(worker["pid"]),
                str(worker["restarts"]),
                output.duration(worker["uptime_seconds"]),
                "; ".join(filter(None, (worker.get("activity", ""), slowed_down(worker.get("slowed_to"))))),
            )
            for name, worker in workers.items()
        ),
        states=(1,),
    )


def _worker(status: Status, name: str) -> Worker:
    if name not in status["workers"]:
        raise errors.NotFoundError(f"there is no worker {name}; there are {', '.join(status['workers'])}")
    return status["workers"][name]


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
    from control import systemd

    return None if options.socket else systemd.find(thord.paths)


def _arguments(options: StartOptions) -> list[str]:
    """Options of thorctl that are passed on to thord."""
    home = chosen_home(options.home)
    return [
        *(["--home", str(home)] if home else []),
        *(["--profile", options.profile] if options.profile else []),
        *(word for setting in options.set for word in ("--set", setting)),
    ]
