"""Only what was signed with the queue's secret is believed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.supervisor.remote.message import (
    FUNCTION,
    RefusedMessageError,
    RunMessage,
    SecretError,
    read_secret,
    signed,
    verified,
)

SECRET = b"0123456789abcdef"
numbers = st.integers(0, 2**62)


@given(numbers, numbers)
def test_a_signed_message_is_read_as_it_was_written(number: int, attempt: int) -> None:
    message = RunMessage(number, attempt)
    assert verified(FUNCTION, [signed(message, "trainer", SECRET)], "trainer", SECRET) == message


@given(numbers, numbers, st.sampled_from(["id", "attempt", "signature"]), st.one_of(numbers, st.text(), st.none()))
def test_a_changed_message_is_refused(number: int, attempt: int, key: str, value: object) -> None:
    body = signed(RunMessage(number, attempt), "trainer", SECRET)
    if body[key] == value:
        return
    with pytest.raises(RefusedMessageError):
        verified(FUNCTION, [body | {key: value}], "trainer", SECRET)


@pytest.mark.parametrize(
    ("function", "arguments", "queue", "secret"),
    [
        ("os.system", [signed(RunMessage(1, 1), "trainer", SECRET)], "trainer", SECRET),
        (FUNCTION, [signed(RunMessage(1, 1), "trainer", SECRET)], "other", SECRET),
        (FUNCTION, [signed(RunMessage(1, 1), "trainer", SECRET)], "trainer", b"another secret of it"),
        (FUNCTION, [], "trainer", SECRET),
        (FUNCTION, ["rm -rf /"], "trainer", SECRET),
        (FUNCTION, [{"id": 1, "attempt": 1}], "trainer", SECRET),
        (FUNCTION, [{**signed(RunMessage(1, 1), "trainer", SECRET), "id": True}], "trainer", SECRET),
    ],
)
def test_what_is_not_of_this_queue_is_refused(
    function: str, arguments: list[object], queue: str, secret: bytes
) -> None:
    with pytest.raises(RefusedMessageError):
        verified(function, arguments, queue, secret)


def test_a_secret_that_is_missing_or_short_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(SecretError, match="No such file"):
        read_secret(file)
    file.write_text("hunter2\n")
    with pytest.raises(SecretError, match="holds 7 bytes") as caught:
        read_secret(file)
    assert "hunter2" not in str(caught.value)
