"""Whether a sequence may begin, by the memory that it may come to: a pure table. Torch is not needed.

| memory for all that it may come to                 | others run | then                                           |
| -------------------------------------------------- | ---------- | ---------------------------------------------- |
| is free, beside what was promised to those that run | any        | begins                                         |
| would be free without kept prompts                 | any        | the oldest is forgotten, and it is judged anew |
| is not free                                        | yes        | waits, and nobody overtakes it                 |
| is not free                                        | no         | refused                                        |

So whatever has begun finds its memory, and whatever waits begins when those before it have ended.
"""

from typing import Literal

Admission = Literal["begin", "forget", "wait", "refuse"]


def admit(needed: int, free: int, *, kept: bool, running: bool) -> Admission:
    """What becomes of a sequence that has a row to go to.

    Args:
        needed: bytes that must be free so that it and all that run can grow to their end.
        free: bytes that nobody has.
        kept: some row keeps a prompt that nobody uses.
        running: some sequence has begun and not ended.
    """
    if needed <= free:
        return "begin"
    if kept:
        return "forget"
    return "wait" if running else "refuse"
