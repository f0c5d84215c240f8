"""How many of a cycle's conversations tell when to stop, and are learned with the next cycle instead.

The same table says how many measure what a run came to, where that is asked for, but for the last line.

| new conversations | kept for validation                             |
| ----------------- | ----------------------------------------------- |
| fewer than 15     | none: they say little, and are better learned   |
| 15 and more       | the share asked for, but 3 to 10 at least       |
| very many         | 200: more would only slow a run down            |
"""

from typing import Literal

Part = Literal["validation", "test"]
"""What a run keeps back of its data: to tell when to stop, or to measure what it came to."""
FEWEST, MOST = 3, 200
_ENOUGH, _PART = 10, 5


def how_many(conversations: int, share: float, most: int = MOST) -> int:
    """Conversations of so many to validate on, or to test on; none where ``share`` is 0."""
    if not share:
        return 0
    number = max(round(share * conversations), min(_ENOUGH, conversations // _PART))
    return min(number, most) if number >= FEWEST else 0
