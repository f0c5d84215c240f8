"""Ranks that cannot be brought together say why."""

import socket

import pytest
import torch

from engine.device import ImpossiblePlacementError
from engine.distributed.meeting import Meeting


def test_every_rank_of_a_host_needs_a_gpu(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 2}
    for name, value in (environment | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ImpossiblePlacementError, match=r"1 GPUs for 2 ranks.*training\.distributed\.processes"):
        Meeting().meet(torch.device("cuda"))
