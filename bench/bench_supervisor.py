"""The supervisor beside supervisord: memory, wake-ups, status, a killed child, a stop."""

import os
import signal
import subprocess
import time
from pathlib import Path

import harness


def _status_times(path: Path, count: int) -> list[float]:
    connection = harness.UnixConnection(path)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("GET", "/v1/status")
        connection.getresponse().read()
        times.append(time.perf_counter() - start)
    connection.close()
    return times


def _peer_status_times(path: Path, count: int) -> list[float]:
    body = "<?xml version='1.0'?><methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>"
    times = []
    for _ in range(count):  # its server closes after each answer, so the connection is part of the round trip
        connection = harness.UnixConnection(path)
        start = time.perf_counter()
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        connection.getresponse().read()
        times.append(time.perf_counter() - start)
        connection.close()
    return times


def _replaced_after(thord: harness.Thord, worker: str) -> float:
    """Seconds from SIGKILL of a worker to its successor's pid in the status."""
    connection = harness.UnixConnection(thord.home / "run/control.sock")

    def pid() -> int | None:
        connection.request("GET", "/v1/status")
        value = harness.json.loads(connection.getresponse().read())["workers"][worker]["pid"]
        return int(value) if value else None

    old = pid()
    assert old
    start = time.perf_counter()
    os.kill(old, signal.SIGKILL)
    while pid() in {old, None}:
        pass
    took = time.perf_counter() - start
    connection.close()
    return took


def _peer_replaced_after(config: Path) -> float:
    command = [harness.BIN / "supervisorctl", "-c", config, "pid", "idle0"]
    old = int(subprocess.run(command, check=True, capture_output=True).stdout)
    children = Path(f"/proc/{(config.parent / 's.pid').read_text().strip()}/task").glob("*/children")
    listing = next(children)
    before = set(listing.read_text().split())
    start = time.perf_counter()
    os.kill(old, signal.SIGKILL)
    while not set(listing.read_text().split()) - before:
        pass
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    rows = []

    def row(name: str, ours: float, theirs: float | None, unit: str, goal: str) -> None:
        peer = "" if theirs is None else f"{theirs:.2f} {unit}"
        ratio = "" if not theirs else f"{ours / theirs:.2f}"
        rows.append([name, f"{ours:.2f} {unit}", peer, ratio, goal])

    with (
        harness.supervisord() as config,
        harness.thord("supervision.backoff_cap_seconds=1.0", "supervision.max_restarts=100") as ours,
    ):
        pid, peer_pid = ours.pid, int((config.parent / "s.pid").read_text())
        thord_socket, peer_socket = ours.home / "run/control.sock", config.parent / "s.sock"
        time.sleep(5)  # the workers come to rest
        before, peer_before = harness.wakeups(pid), harness.wakeups(peer_pid)
        time.sleep(10)
        woken, peer_woken = harness.wakeups(pid) - before, harness.wakeups(peer_pid) - peer_before
        row("resident", harness.resident_megabytes(pid), harness.resident_megabytes(peer_pid), "MB", "<= 60 MB")
        row("wake-ups in 10 s idle", woken, peer_woken, "", "<= 10")

        for busy in (False, True):
            if busy:
                with harness.burn():
                    times, peer_times = _status_times(thord_socket, 2000), _peer_status_times(peer_socket, 500)
            else:
                times, peer_times = _status_times(thord_socket, 2000), _peer_status_times(peer_socket, 500)
            state = "both cores busy" if busy else "idle"
            for share, goal in ((0.5, "<= 1 ms"), (0.99, "<= 10 ms")):
                mine, peer = (harness.percentile(t, share) * 1000 for t in (times, peer_times))
                row(f"status p{share * 100:.0f}, {state}", mine, peer, "ms", goal)

        cli, peer_cli = harness.interleaved(
            15,
            lambda: ours.ctl("status"),
            lambda: subprocess.run(
                [harness.BIN / "supervisorctl", "-c", config, "status"], check=False, stdout=subprocess.DEVNULL
            ),
        )
        row("whole status command", harness.median(cli) * 1000, harness.median(peer_cli) * 1000, "ms", "<= 0.8 x")

        replaced, peer_replaced = [], []
        for _ in range(7):
            time.sleep(2.5)  # longer than the cap, so that each death is a first one
            replaced.append(_replaced_after(ours, "monitor"))
            peer_replaced.append(_peer_replaced_after(config))
        row(
            "killed worker replaced",
            harness.median(replaced) * 1000,
            harness.median(peer_replaced) * 1000,
            "ms",
            "<= 50 ms",
        )

        refused = subprocess.run([harness.BIN / "thord", "--home", ours.home], check=False, capture_output=True)
        rows.append(["second one on the same home", f"exit {refused.returncode}", "", "", "refused"])

    stops = []
    for _ in range(5):
        with harness.thord() as one:
            descriptor = os.pidfd_open(one.pid)
            time.sleep(1)
            stops.append(harness.seconds(lambda one=one, fd=descriptor: _terminate(one.pid, fd)))
            os.close(descriptor)
    row("SIGTERM to exit", harness.median(stops) * 1000, None, "ms", "<= 300 ms")
    harness.table(
        "supervisor, all workers up, beside supervisord with four idle children",
        rows,
        ["", "thord", "supervisord", "ratio", "goal"],
    )


def _terminate(pid: int, descriptor: int) -> None:
    import select

    os.kill(pid, signal.SIGTERM)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    poller.poll()


if __name__ == "__main__":
    main()
