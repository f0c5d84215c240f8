"""A form says the same however its bytes are cut into chunks, and whatever its file holds."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.workers.server.api.files.multipart import FormReader, PartBegun, PartData, PartEnded

FORM = b'--b-b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n%s\r\n--b-b--\r\n'
LIKE_A_BOUNDARY = st.sampled_from([b"\r\n", b"--b-b", b"\r\n--b-", b"--", b"\r", b"\n--b-b-\r\n", b"x"])
CONTENTS = st.lists(st.one_of(st.binary(max_size=20), LIKE_A_BOUNDARY), max_size=12).map(b"".join)


@given(CONTENTS.filter(lambda content: b"\r\n--b-b" not in b"\r\n" + content), st.lists(st.integers(1, 40), min_size=1))
def test_any_cut_gives_the_same_file(content: bytes, cuts: list[int]) -> None:
    reader, body, events, place = FormReader("multipart/form-data; boundary=b-b"), FORM % content, [], 0
    for cut in cuts:
        events += reader.push(body[place : place + cut])
        place += cut
    events += reader.push(body[place:])
    reader.finish()
    assert events[0] == PartBegun("file", "a.bin")
    assert events[-1] == PartEnded()
    assert b"".join(event.data for event in events if isinstance(event, PartData)) == content
