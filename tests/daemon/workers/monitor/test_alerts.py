from dataclasses import replace

from daemon.workers.monitor.alerts import alerts
from daemon.workers.monitor.figures import Figures, Space

GIB = 1 << 30
WELL = Figures(
    at="",
    cpu_percent=100.0,
    cores=2,
    load=(9.0, 9.0, 9.0),
    memory=Space(total=16 * GIB, free=8 * GIB),
    disk=Space(total=100 * GIB, free=50 * GIB),
    processes={},
    gpus=(),
)


def test_a_busy_host_is_no_alert() -> None:
    assert alerts(WELL) == {}


def test_what_is_nearly_full_is_named_with_its_figures() -> None:
    found = alerts(
        replace(WELL, disk=Space(total=100 * GIB, free=3 * GIB), memory=Space(total=16 * GIB, free=GIB // 2))
    )
    assert found.keys() == {"memory", "disk"}
    assert "3.0 GiB of 100.0 GiB" in found["disk"]
    assert "0.5 GiB of 16.0 GiB" in found["memory"]


def test_a_small_share_of_a_large_disk_is_enough() -> None:
    assert alerts(replace(WELL, disk=Space(total=20_000 * GIB, free=100 * GIB))) == {}
    assert alerts(replace(WELL, disk=Space(total=20_000 * GIB, free=9 * GIB))).keys() == {"disk"}
