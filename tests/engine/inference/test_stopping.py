"""Text that is shown: the same however it is cut, never a part of a stop string, always whole characters."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from engine.inference.stopping import TextStream

LETTERS = st.text(alphabet="abcé日", max_size=30)
STOPS = st.lists(st.text(alphabet="abcé日", min_size=1, max_size=4), max_size=4)


def cut_letter_by_letter(text: str, stops: list[str]) -> tuple[str, bool]:
    """The definition: read on until some stop string ends here; of several, the one that began first counts."""
    for end in range(1, len(text) + 1):
        begins = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begins:
            return text[: min(begins)], True
    return text, False


@given(LETTERS, STOPS, st.lists(st.integers(1, 5), min_size=1))
@example("aab", ["ab"], [1])
@example("abcd", ["abcd", "bc"], [4])
def test_any_cut_shows_the_text_before_the_first_stop_string(text: str, stops: list[str], sizes: list[int]) -> None:
    data, shown, stream = text.encode(), [], TextStream(tuple(stops))
    expected, stopped = cut_letter_by_letter(text, stops)
    for size in itertools.cycle(sizes):
        if not data:
            break
        shown.append(stream.push(data[:size]))
        data = data[size:]
        assert expected.startswith("".join(shown)), "nothing is shown that would have to be taken back"
    shown.append(stream.finish())
    assert "".join(shown) == expected
    assert stream.stopped == stopped


@given(st.binary(max_size=40), st.lists(st.integers(1, 5), min_size=1))
def test_broken_utf8_is_replaced_as_python_does(data: bytes, sizes: list[int]) -> None:
    stream, rest, shown = TextStream(), data, ""
    for size in itertools.cycle(sizes):
        if not rest:
            break
        shown += stream.push(rest[:size])
        rest = rest[size:]
    assert shown + stream.finish() == data.decode(errors="replace")


def test_text_that_may_become_a_stop_string_is_held_back_and_no_more() -> None:
    stream = TextStream(("\n\nUser:",))
    assert stream.push(b"Hello\n") == "Hello"
    assert stream.push(b"\nUse") == ""
    assert stream.push(b"ful") == "\n\nUseful"
    assert stream.push(b"\n\nUser: x") == ""
    assert stream.stopped
    assert stream.push(b"more") == ""
    assert stream.finish() == ""
