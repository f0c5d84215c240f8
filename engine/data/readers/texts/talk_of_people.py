"""Talks of people pasted from a page or a phone, as text: told by the times beside the names.

Ann — Today at 10:00        Ann Smith  10:01 AM         Jan 01, 2025 10:01:02 AM
Where is the key?           Where is the key?           Ann
Ann, [1 Jan 2025 10:00]:    Speaker A                   [LINE] Chat history with Ann
Where is the key?           00:01
"""

import re
from collections import Counter
from collections.abc import Sequence

from engine.data.records.written.speakers import speaker_of

_CLOCK = r"\d{1,2}:\d\d(?::\d\d)?(?:[ \u202f]?[AaPp]\.?[Mm]\.?)?"
_HEADED = re.compile(rf"[^.!?;:\n]{{0,60}}?(?<![\w:]){_CLOCK}(?: ?\([^()]{{1,60}}\))?[\])]?:?\s*$")
"""A short line that ends with a time: who said the next lines, and when."""
_SAID = re.compile(
    r"\[?\d{1,2}:\d\d(?::\d\d)?(?:\s?[AaPp][Mm])?\]?\s+<[^<>\n]{1,40}>|\[\d{1,2}:\d\d(?::\d\d)?\s?(?:[AaPp][Mm])?\]\s+\w"
    r"|[^,\n]{1,40}, \[\d{1,2}\W\d{1,2}\W\d{2,4}|\d\d:\d\d:\d\d\s+From .{1,60} : "
    rf"|[^\W\d][\w .]{{0,40}} [\[(]{_CLOCK}[\])]:? "
)
"""What stands before words on the same line."""
_BULLET = re.compile(r"\s*[-*\u2022>|][ \t]")
"""Lists are no talk."""
_TITLED = re.compile(r"\[LINE\] ")


def is_talk_of_people(first: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether this is such a talk, or two names or more speak by turns with words behind them.

    ``first`` are the first lines without blank ones, ``lines`` some more of them.
    """
    if not first:
        return False
    said = sum(bool(_SAID.match(line)) for line in first)
    headed = [number for number, line in enumerate(first) if _HEADED.match(line)]
    parts_turns = len(headed) >= 2 and headed[0] <= 2 and len(headed) >= len(first) * 0.2
    return bool(_TITLED.match(first[0])) or said >= len(first) * 0.4 or parts_turns or _speak_by_turns(lines)


def _speak_by_turns(lines: Sequence[str]) -> bool:
    said_in = [line for line in lines if not _BULLET.match(line)]
    found = [speaker for line in said_in if (speaker := speaker_of(line)) and line[speaker.end :].strip()]
    said = Counter(speaker.name for speaker in found if speaker.form[0] in ("colon", "brackets"))
    often = [name for name, times in said.items() if times > 1]
    return 1 < len(often) <= 6 and sum(map(said.__getitem__, often)) >= max(6.0, 0.3 * len(lines))
