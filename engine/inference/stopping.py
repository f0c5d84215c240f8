"""From tokens to text that may be shown: whole characters only, and never a part of a stop string."""

import codecs


class TextStream:
    """Decodes bytes as they come and ends at the first stop string, however tokens cut it.

    The stop string that is complete first counts; of two that end together, the one that began first. The text before
    it is shown, itself only with ``show_stop``. What is shown does not depend on how the bytes were cut into pieces.

    Attributes:
        stopped: a stop string is complete.
        stop: that one.
    """

    def __init__(self, stop: tuple[str, ...] = (), *, show_stop: bool = False) -> None:
        self._stop = tuple(text for text in stop if text)
        self._show_stop = show_stop
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stopped = False
        self.stop = ""

    def push(self, data: bytes) -> str:
        """Take more bytes; what may be shown now. Nothing more once `stopped`."""
        return self._advance(self._decoder.decode(data))

    def push_unstoppable(self, data: bytes) -> str:
        """As `push`, but stop strings are not looked for: neither in this nor across its end."""
        shown, self._held = self._held + self._decoder.decode(data), ""
        return shown

    def finish(self) -> str:
        """No more bytes: what was held back, with U+FFFD for an unfinished character."""
        shown = self._advance(self._decoder.decode(b"", final=True))
        if self.stopped:
            return shown
        held, self._held = self._held, ""
        return shown + held

    def _advance(self, text: str) -> str:
        if self.stopped:
            return ""
        if not self._stop:
            return text
        window = self._held + text
        found = self._first_stop(window)
        if found is not None:
            start, self.stop = found
            self.stopped, self._held = True, ""
            return window[: start + len(self.stop)] if self._show_stop else window[:start]
        keep = self._length_that_may_become_a_stop(window)
        self._held = window[len(window) - keep :]
        return window[: len(window) - keep]

    def _first_stop(self, window: str) -> tuple[int, str] | None:
        """The place of the stop string that is complete first, and which it is."""
        places = ((window.find(stop), stop) for stop in self._stop)
        found = [(start, stop) for start, stop in places if start >= 0]
        return min(found, key=lambda each: (each[0] + len(each[1]), each[0]), default=None)

    def _length_that_may_become_a_stop(self, window: str) -> int:
        longest = max(len(stop) for stop in self._stop) - 1
        for length in range(min(longest, len(window)), 0, -1):
            if any(stop.startswith(window[-length:]) for stop in self._stop):
                return length
        return 0
