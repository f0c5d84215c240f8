"""``status``: what thord and its workers are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.arguments import WorkerOptions, add_workers
from control.cli.parser import Commands, connect
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import AnchorState, Cycle, Host, JobUnderWay, Status, Worker


FIRST_STEPS = "a small one that talks: thorctl import starter --promote; or your own, from scratch: thorctl ingest FILE"
"""How to get a first version."""

_MOST_AUDITS = 8
"""That fit a line."""


def add(commands: Commands) -> None:
    """Declare the command."""
    status = commands.add(
        "status",
        "show what thord is doing",
        _status,
        "thorctl status\nthorctl status server\nthorctl status --json | jq .version",
        "Exit status 3 if thord, or a worker that is named, is not running.",
    )
    add_workers(status)


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
            "api": output.clean(base_url(status)),
            "version": status["version"] or f"none yet; {FIRST_STEPS}",
            **({"how good it is": quality["words"]} if (quality := status.get("quality")) else {}),
            **({"audited": words} if (words := _audited(status.get("anchor"))) else {}),
            **({"earlier audits": curve} if (curve := _curve(status.get("anchor"))) else {}),
            "cycle": f"{learning}; {next_cycle(status)}",
            **({"jobs": "; ".join(map(_job, under_way))} if (under_way := status.get("jobs")) else {}),
            "conversations": ", ".join(
                f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if isinstance(count, int)
            ),
            **({"not watched": _unwatched(unwatched)} if (unwatched := status.get("unwatched")) else {}),
            **({"other programs": _told(told)} if (told := status.get("integrations")) else {}),
            **({"host": _host(host)} if (host := status.get("host")) else {}),
        }
    )


def _job(job: JobUnderWay) -> str:
    from control.commands.jobs.jobs import describe

    name = f" {output.clean(job['run_id'])}" if job["run_id"] else ""
    return f"number {job['id']}, {job['kind']}{name}: {describe(job['progress'] or {})}"


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


def _audited(anchor: AnchorState | None) -> str | None:
    """What the last anchor test came to; null where there was none."""
    if not anchor or not anchor["audits"]:
        return None
    last, since = anchor["audits"][-1], anchor["promotions_since"]
    difference = "?" if last["difference"] is None else f"{last['difference']:+.4f}"
    return (
        f"version {anchor['version']}; the last test, of {last['version']} against {last['against']} on "
        f"{last['conversations']} sealed conversations: {difference} bits per byte; "
        f"{since} {'promotion' if since == 1 else 'promotions'} towards the next"
    )


def _curve(anchor: AnchorState | None) -> str | None:
    """The last anchor tests, oldest first, each by itself: differences to the best version then do not add up."""
    audits = anchor["audits"][-_MOST_AUDITS:] if anchor else []
    if len(audits) < 2:
        return None
    shown = (
        f"{audit['version']} {'?' if audit['difference'] is None else format(audit['difference'], '+.4f')}"
        for audit in audits
    )
    return f"{', '.join(shown)} bits per byte to the best audited version of the time"


def _unwatched(folders: dict[str, str]) -> str:
    return "; ".join(f"{output.clean(folder)}: {output.clean(reason)}" for folder, reason in folders.items())


def _told(integrations: dict[str, dict[str, int]]) -> str:
    """``redis: 120 published, 3 dropped; webhooks: 2 delivered``, of events since the start; zeros only if first."""
    return "; ".join(
        f"{name}: "
        + ", ".join(
            f"{count} {what.replace('_', ' ')}"
            for number, (what, count) in enumerate(counts.items())
            if count or not number
        )
        for name, counts in integrations.items()
    )


def base_url(status: Status) -> str:
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
    from control.terminal.progress import describe

    return describe(cycle["progress"])


def show_workers(workers: dict[str, Worker]) -> None:
    """Print workers for people."""
    from control.terminal.progress import slowed_down

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
