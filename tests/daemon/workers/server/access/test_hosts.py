"""Which names are a server's own, and which pages."""

import socket

import pytest

from daemon.workers.server.access.hosts import Hosts


@pytest.mark.parametrize(
    ("addresses", "names", "ours", "foreign"),
    [
        (
            ["127.0.0.1"],
            ["127.0.0.1"],
            ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:9", "localhost."],
            ["evil.example", "localhost.evil.example", "192.0.2.7", "[::1]", "", "0.0.0.0", "127.0.0.1.evil.example"],
        ),
        (["::1"], ["::1"], ["[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]", "::1"], ["[::2]", "127.0.0.1"]),
        (
            ["192.0.2.7"],
            ["gpu.example.org", "Thord.Example.Org:443"],
            ["192.0.2.7:8000", "localhost", "gpu.example.org", "thord.example.org:8000"],
            ["192.0.2.8", "other.example.org"],
        ),
        (
            ["0.0.0.0"],
            ["0.0.0.0"],
            ["127.0.0.1", "localhost:8000", socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local"],
            ["evil.example", "192.0.2.7", "0.0.0.0"],
        ),
        (["0.0.0.0", "::"], [""], ["127.0.0.1"], ["", "null"]),
        (["127.0.0.1"], ["127.0.0.1", "*"], ["anything.example"], []),
    ],
)
def test_a_server_knows_its_names(addresses: list[str], names: list[str], ours: list[str], foreign: list[str]) -> None:
    hosts = Hosts(addresses, names)
    assert [name for name in ours if not hosts.knows(name)] == []
    assert [name for name in foreign if hosts.knows(name)] == []


def test_a_page_is_ours_that_came_from_where_it_asks_or_from_a_name_given() -> None:
    hosts = Hosts(["127.0.0.1"], ["127.0.0.1", "thord.example.org"])
    assert hosts.serves_page("http://localhost:8000", "localhost:8000")
    assert hosts.serves_page("https://thord.example.org", "127.0.0.1:8000"), "a proxy says another host"
    assert not hosts.serves_page("http://localhost:3000", "localhost:8000")
    for origin in ("null", "https://evil.example", "", "https://thord.example.org.evil.example", "http://[x"):
        assert not hosts.serves_page(origin, "localhost:8000")
        assert not Hosts(["0.0.0.0"], [""]).serves_page(origin, "")
