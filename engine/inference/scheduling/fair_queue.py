"""Who waits, and whose turn it is: clients take turns, each client's own sequences go in order. Torch is not needed."""

from collections import OrderedDict, deque
from collections.abc import Callable

from engine.inference.requests import Request, SequenceState


class FairQueue:
    """First come, first served within a client; round robin between clients, so that a flood delays its sender most."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[SequenceState]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, sequence: SequenceState) -> None:
        """Wait at the end of its client's line."""
        self._clients.setdefault(sequence.request.client, deque()).append(sequence)
        self._length += 1

    def push_front(self, sequence: SequenceState) -> None:
        """Wait at the head of its client's line, and the client before all others: it has waited already."""
        self._clients.setdefault(sequence.request.client, deque()).appendleft(sequence)
        self._clients.move_to_end(sequence.request.client, last=False)
        self._length += 1

    def pop(self, fits: Callable[[SequenceState], bool]) -> SequenceState | None:
        """The next sequence that ``fits``; its client goes to the end. A head that does not fit holds up its line."""
        for client, line in self._clients.items():
            if fits(line[0]):
                sequence = line.popleft()
                self._clients.move_to_end(client)
                if not line:
                    del self._clients[client]
                self._length -= 1
                return sequence
        return None

    def remove(self, request: Request) -> None:
        """Take out all sequences of a request, wherever they stand in its client's line."""
        line = self._clients.get(request.client)
        if line is None:
            return
        kept = deque(sequence for sequence in line if sequence.request is not request)
        self._length -= len(line) - len(kept)
        if kept:
            self._clients[request.client] = kept
        else:
            del self._clients[request.client]
