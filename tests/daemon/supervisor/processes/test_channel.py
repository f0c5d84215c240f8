"""Any bytes on the channel end as a message or as a closed connection; nothing else happens."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.messages import MAX_LINE, PROTOCOL, Beat, FromWorker, Hello, Ready, Stop, encode
from daemon.supervisor.processes.channel import ChannelServer, Connection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class House:
    """A channel on a real socket, and what came through it."""

    def __init__(self, folder: Path, hello_seconds: float) -> None:
        self.path = str(folder / "channel.sock")
        self.hellos: list[Connection] = []
        self.messages: list[FromWorker] = []
        self.channel = ChannelServer(
            self.hellos.append, lambda _, message: self.messages.append(message), hello_seconds
        )

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(self.path)

    async def introduce(self, token: str, *, worker: str = "intake", protocol: int = PROTOCOL) -> Streams:
        reader, writer = await self.connect()
        hello = Hello.model_construct(protocol=protocol, worker=worker, pid=os.getpid(), token=token)
        writer.write(encode(hello))
        return reader, writer

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


def with_house(folder: Path, scenario: Callable[[House], Awaitable[None]], hello_seconds: float = 10.0) -> None:
    import socket

    async def run() -> None:
        house = House(folder, hello_seconds)
        Path(house.path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(house.path)
        await house.channel.start(listener)
        await scenario(house)
        house.channel.close()
        listener.close()

    asyncio.run(run())


async def is_closed(streams: Streams) -> bool:
    async with asyncio.timeout(5):
        try:
            return await streams[0].read() == b""
        except ConnectionResetError:
            return True
        finally:
            streams[1].close()


def test_a_token_opens_once(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        token = house.channel.expect("intake")
        _, writer = await house.introduce(token)
        writer.write(encode(Ready()) + encode(Beat(progress=1)))
        await house.until(lambda: len(house.messages) == 2)
        assert house.hellos[0].worker == "intake"
        assert await is_closed(await house.introduce(token)), "used up"
        writer.write(encode(Beat(progress=2)))
        await house.until(lambda: len(house.messages) == 3)
        writer.close()

    with_house(tmp_path, scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "guessed"},
        {"token": ""},
        {"token": "ü" * 5},
        {"worker": "monitor"},
        {"worker": "nobody"},
        {"protocol": PROTOCOL + 1},
    ],
)
def test_what_does_not_prove_itself_is_turned_away_and_the_right_one_still_gets_in(
    tmp_path: Path, wrong: dict[str, str | int]
) -> None:
    async def scenario(house: House) -> None:
        token = house.channel.expect("intake")
        given_: dict[str, str | int] = {"token": token, **wrong}
        assert await is_closed(await house.introduce(**given_))
        assert house.hellos == []
        _, writer = await house.introduce(token)
        await house.until(lambda: house.hellos)
        writer.close()

    with_house(tmp_path, scenario)


def test_a_new_token_makes_the_old_one_void(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        old = house.channel.expect("intake")
        house.channel.expect("intake")
        assert await is_closed(await house.introduce(old))

    with_house(tmp_path, scenario)


def test_messages_before_hello_and_a_second_hello_close_the_connection(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        streams = await house.connect()
        streams[1].write(encode(Ready()))
        assert await is_closed(streams)
        token = house.channel.expect("intake")
        streams = await house.introduce(token)
        await house.until(lambda: house.hellos)
        streams[1].write(encode(Hello(protocol=PROTOCOL, worker="intake", pid=1, token=token)))
        assert await is_closed(streams)
        assert house.messages == []

    with_house(tmp_path, scenario)


def test_lines_may_be_as_long_as_the_protocol_says_and_no_longer(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        streams = await house.introduce(house.channel.expect("intake"))
        frame = len(encode(Beat(progress=1))) - 1
        longest = Beat(progress=1, activity="a" * (MAX_LINE - frame))
        streams[1].write(encode(longest))
        await house.until(lambda: house.messages == [longest])
        streams[1].write(b" " * (MAX_LINE + 1))
        assert await is_closed(streams)
        stranger = await house.connect()
        stranger[1].write(b"x" * 5000)
        assert await is_closed(stranger), "a stranger has less room"

    with_house(tmp_path, scenario)


def test_strangers_that_say_nothing_are_limited_in_number_and_time(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        silent = [await house.connect() for _ in range(40)]
        closed = await asyncio.gather(*(is_closed(streams) for streams in silent))
        assert all(closed)
        _, writer = await house.introduce(house.channel.expect("intake"))
        await house.until(lambda: house.hellos)
        writer.close()

    with_house(tmp_path, scenario, hello_seconds=0.2)


def test_a_reader_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        _, writer = await house.introduce(house.channel.expect("intake"))
        await house.until(lambda: house.hellos)
        sent = 0
        while house.hellos[0].send(Stop(grace_seconds=1.0)):
            sent += 1
            assert sent < 1_000_000
        assert not house.hellos[0].send(Stop(grace_seconds=1.0))
        writer.close()

    with_house(tmp_path, scenario)


LINES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([encode(Ready()), encode(Beat(progress=1)), b"\n", b"{}\n", b'{"kind": "beat"}\n', b"\xff\xfe\n"]),
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)).map(
        lambda value: f'{{"kind": "beat", "progress": {value!r}}}\n'.encode("utf-8", "surrogatepass")
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(LINES, max_size=8), known=st.booleans())
def test_any_bytes_end_as_messages_or_a_closed_connection(tmp_path: Path, pieces: list[bytes], known: bool) -> None:
    async def scenario(house: House) -> None:
        streams = await (house.introduce(house.channel.expect("intake")) if known else house.connect())
        for piece in pieces:
            streams[1].write(piece)
        streams[1].write_eof()
        assert await is_closed(streams)
        assert all(not isinstance(message, Hello) for message in house.messages)
        assert known or house.messages == []
        _, writer = await house.introduce(house.channel.expect("server"), worker="server")
        await house.until(lambda: [it for it in house.hellos if it.worker == "server"])
        writer.close()

    with_house(tmp_path, scenario)
