"""Ranks that cannot be brought together, or that are left alone, say why."""

import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from engine.device import ImpossiblePlacementError
from engine.distributed.meeting import Meeting

TCP_REPAIR = 19
"""A socket in this state is closed without a word to its peer (include/uapi/linux/tcp.h of Linux)."""
HOST = f"""
import os, socket, sys
from datetime import timedelta
from torch.distributed.rendezvous import rendezvous

kept = next(iter(rendezvous("env://", timeout=timedelta(seconds=20))))
print("open", flush=True)
sys.stdin.readline()
for name in os.listdir("/proc/self/fd"):  # the power fails
    try:
        found = socket.socket(fileno=os.dup(int(name)))
        found.setsockopt(socket.IPPROTO_TCP, {TCP_REPAIR}, 1)
    except OSError:
        continue
os._exit(0)
"""
RANK = """
from datetime import timedelta
from engine.distributed import meeting

meeting._LOOK = timedelta(seconds=3)
found = meeting.Meeting()


class Watched:
    def __init__(self, store):
        self.get = store.get
        self.store = store

    def wait(self, keys, timeout):
        print("looking", flush=True)
        self.store.wait(keys, timeout)


found._store = Watched(found._store)
print("told:", found.await_order(), flush=True)
"""


def environment(rank: int, port: int, *, size: int = 2, here: int = 1) -> dict[str, str]:
    place = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": here}
    return {name: str(value) for name, value in {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def start(script: str, rank: int, port: int) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    given = {**os.environ, **environment(rank, port)}
    return subprocess.Popen([sys.executable, "-c", script], env=given, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_every_rank_of_a_host_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, free_port(), size=1, here=2).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ImpossiblePlacementError, match=r"1 GPUs for 2 ranks.*training\.distributed\.processes"):
        Meeting().meet(torch.device("cuda"))


def may_vanish() -> bool:
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            return False
    return True


def test_a_host_whose_power_fails_while_it_prepares_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing tells the others: no connection of it was closed. They ask, so they learn when it is up again."""
    if not may_vanish():
        warnings.warn("no CAP_NET_ADMIN here: a host that vanishes cannot be tried", stacklevel=1)
        pytest.skip("needs CAP_NET_ADMIN")
    port = free_port()
    host, rank = start(HOST, 0, port), start(RANK, 1, port)
    try:
        assert host.stdout is not None
        assert host.stdout.readline() == "open\n"
        assert rank.stdout is not None
        assert [rank.stdout.readline(), rank.stdout.readline()] == ["looking\n"] * 2, "once in vain, and it waits on"
        host.communicate("now\n", timeout=20)
        said, error = rank.communicate(timeout=20)
    finally:
        host.kill()
        rank.kill()
    assert rank.returncode == 1
    assert "told" not in said
    assert "DistNetworkError" in error
