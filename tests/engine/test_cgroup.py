"""Limits of containers, by the files that kernels write; what they should mean is from cgroups(7)."""

import os
from pathlib import Path

import psutil
import pytest

from engine import cgroup, device

GIB = 1 << 30


def process(folder: Path, membership: str, mount: str) -> Path:
    (folder / "cgroup").write_text(membership)
    (folder / "mountinfo").write_text(f"21 1 0:19 / /proc rw - proc proc rw\n{mount}\n")
    return folder


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_version_2_takes_the_least_of_all_groups_around(tmp_path: Path) -> None:
    root = tmp_path / "fs"
    write(root / "a/b", memory__max="max", memory__current=1, cpu__max="max 100000")
    write(root / "a", memory__max=GIB, memory__current=GIB // 2, memory__stat=f"anon 1\ninactive_file {GIB // 4}")
    write(root / "a", cpu__max="50000 100000")
    groups = cgroup.find(process(tmp_path, "0::/a/b\n", f"30 1 0:26 / {root} rw - cgroup2 cgroup2 rw"))
    assert groups.memory == (root / "a/b", root / "a", root)
    assert cgroup.memory(groups) == cgroup.Memory(GIB, GIB // 2 + GIB // 4)
    assert cgroup.processors(groups) == 1


def test_version_1_in_a_container(tmp_path: Path) -> None:
    root = tmp_path / "fs"
    write(root / "memory", memory__limit_in_bytes=GIB, memory__usage_in_bytes=GIB // 4)
    write(root / "cpu", cpu__cfs_quota_us=150_000, cpu__cfs_period_us=100_000)
    mounts = (
        f"30 1 0:26 /docker/1 {root}/memory rw - cgroup cgroup rw,memory\n"
        f"31 1 0:27 /docker/1 {root}/cpu rw - cgroup cgroup rw,cpu,cpuacct"
    )
    groups = cgroup.find(process(tmp_path, "3:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n", mounts))
    assert groups == cgroup.Groups((root / "memory",), (root / "cpu",))
    assert cgroup.memory(groups) == cgroup.Memory(GIB, GIB - GIB // 4)
    assert cgroup.processors(groups) == min(2, len(os.sched_getaffinity(0)))


def test_without_limits_it_is_the_machine(tmp_path: Path) -> None:
    write(tmp_path / "fs", memory__limit_in_bytes=(1 << 63) - 4096, cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    for groups in (cgroup.Groups((tmp_path / "fs",), (tmp_path / "fs",)), cgroup.Groups((), ())):
        assert cgroup.memory(groups).total == psutil.virtual_memory().total
        assert cgroup.processors(groups) == len(os.sched_getaffinity(0))
    assert cgroup.find(tmp_path / "nowhere") == cgroup.Groups((), ())


def test_a_full_group_has_nothing_left(tmp_path: Path) -> None:
    write(tmp_path / "fs", memory__max=GIB, memory__current=GIB + 1)
    assert cgroup.memory(cgroup.Groups((tmp_path / "fs",), ())).available == 0


def test_threads_follow_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "processors", lambda: 1)
    assert device.physical_cores() == 1
