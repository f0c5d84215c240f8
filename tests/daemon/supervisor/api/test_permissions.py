"""Who may do what over the control socket."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.supervisor.api.permissions import Access, Peer, may
from tests.daemon.supervisor.api.running import GROUP, Running

ASK = """
import os, socket, sys
path, uid, gid, groups, request = sys.argv[1:]
os.setgroups([int(group) for group in groups.split(",") if group])
os.setresgid(int(gid), int(gid), int(gid))
os.setresuid(int(uid), int(uid), int(uid))
stream = socket.socket(socket.AF_UNIX)
stream.connect(path)
stream.sendall(request.encode())
print(stream.recv(12).decode()[9:12])
"""


def status_for(running: Running, target: str, *, uid: int, gid: int, groups: tuple[int, ...] = ()) -> int:
    """The status that a process of that user gets."""
    method, path = target.split()
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    arguments = [str(running.paths.control_socket), str(uid), str(gid), ",".join(map(str, groups)), request]
    told = subprocess.run([sys.executable, "-c", ASK, *arguments], capture_output=True, text=True, check=True)
    return int(told.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_processes_of_other_users_may_what_they_may() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        running = Running(home)
        for each in (Path(folder), home, running.paths.run):
            each.chmod(0o755)
        read, work, admin = "GET /v1/status", "POST /v1/evaluations", "POST /v1/rollback"
        stranger = {"uid": 65534, "gid": 65534}
        member = {"uid": 65534, "gid": 65534, "groups": (GROUP,)}
        try:
            assert [status_for(running, what, **stranger) for what in (read, work, admin)] == [403, 403, 403]
            assert [status_for(running, what, **member) for what in (read, work, admin)] == [200, 404, 403]
            assert status_for(running, read, uid=65534, gid=GROUP) == 200
        finally:
            running.close()


@given(
    uid=st.sampled_from([0, 100, 200]),
    groups=st.frozensets(st.sampled_from([7, 8, 9])),
    group=st.sampled_from([None, 7]),
    access=st.sampled_from(list(Access)),
)
def test_the_rule_of_who_may(uid: int, groups: frozenset[int], group: int | None, access: Access) -> None:
    allowed = may(Peer(uid, 9, 1, groups), access, owner=100, group=group)
    owner = uid in (0, 100)
    member = group is not None and group in groups
    assert allowed == (owner or (member and access in (Access.READ, Access.WORK)))
