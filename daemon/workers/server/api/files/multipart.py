"""``multipart/form-data`` (RFC 7578), read as it comes: what a chunk of a body says of the parts of a form."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from daemon.workers.server.errors import ApiError

MOST_PARTS = 16
_PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})


@dataclass(frozen=True)
class PartBegun:
    """A part of the form; ``filename`` is null for a plain field."""

    name: str
    filename: str | None


@dataclass(frozen=True)
class PartData:
    """More of the part that was begun last."""

    data: bytes


@dataclass(frozen=True)
class PartEnded:
    """No more of it comes."""


Event = PartBegun | PartData | PartEnded


@dataclass
class _Head:
    """The headers of one part, as far as they came."""

    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    found: dict[bytes, bytes] = field(default_factory=dict)


class FormReader:
    """One body.

    Args:
        content_type: the request's header.

    Raises:
        ApiError: 400, it is not a form.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise ApiError(400, "not_a_form", "send multipart/form-data with its boundary", close=True)
        self._events: list[Event] = []
        self._head = _Head()
        self._parts = 0
        self._has_ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._take_name,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_head,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end,
                    "on_end": self._end_form,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def push(self, data: bytes) -> list[Event]:
        """What more of the body says.

        Raises:
            ApiError: 400, it is not a form.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(str(error)) from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check that the form has come to its end.

        Raises:
            ApiError: 400, it has not.
        """
        if not self._has_ended:
            raise _malformed("the body ends before the form does")

    def _begin(self) -> None:
        self._head = _Head()
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _malformed(f"it has more than {MOST_PARTS} parts")

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._head.name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._head.value += data[start:end]

    def _end_header(self) -> None:
        head = self._head
        head.found[bytes(head.name).lower()] = bytes(head.value)
        head.name, head.value = bytearray(), bytearray()

    def _end_head(self) -> None:
        if self._head.found.get(b"content-transfer-encoding", b"").lower().strip() not in _PLAIN_ENCODINGS:
            raise _malformed("a part has a content-transfer-encoding; send its bytes as they are")
        _, options = parse_options_header(self._head.found.get(b"content-disposition", b"").decode("latin-1"))
        if not (name := options.get(b"name")):
            raise _malformed("a part has no name")
        filename = options.get(b"filename")
        self._events.append(PartBegun(_text(name), None if filename is None else _text(filename)))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _end(self) -> None:
        self._events.append(PartEnded())

    def _end_form(self) -> None:
        self._has_ended = True


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _malformed(why: str) -> ApiError:
    return ApiError(400, "malformed_form", f"the body is not multipart/form-data: {why}", close=True)
