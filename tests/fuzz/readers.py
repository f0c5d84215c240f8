"""Feeds every reader with files that were damaged in every way: ``python -m tests.fuzz.readers [--seconds 60] [NAME]``.

For each seed (`tests.fuzz.seeds`), for so many seconds: nothing may be raised, no file may take long, and what a file
holds is found or refused, in its place, and said in it. What breaks a rule is written into ``--out`` and named at the
end; the status is then 1.
"""

import argparse
import hashlib
import io
import random
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.data.canonical import from_canonical
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Names
from engine.data.records.text import clean
from tests.fuzz.seeds import seeds

_LONGEST_SECONDS = 5.0
_MOST_STRANGE = 2
"""Words of a file that may be learned otherwise than they stand there: marks are taken out from within a word."""
_LIMITS = (Limits(), Limits(names=Names(speakers={"ann": "assistant"})))
_ODD = (0, 1, 9, 10, 13, 32, 34, 44, 91, 92, 93, 123, 125, 127, 128, 195, 237, 254, 255)
_TOKENS = (
    *(
        b'{"',
        b'":',
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b",",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\\u0000",
        b"\\ud800",
        b"null",
        b"\x00",
    ),
    *(b"-1", b"1e999", b"NaN", b"true", b'"role"', b'"content"', b'"user"', b'"assistant"', b'"messages"', b'"text"'),
    *(
        b"Human: ",
        b"Assistant: ",
        b"### ",
        b"<|im_start|>",
        b"[INST]",
        b"From ",
        b"__eou__",
        b"\t",
        b"\xef\xbb\xbf",
        b"\x1e",
    ),
    *("\u0301".encode() * 40, "\u200e".encode(), "\u2028".encode(), b"9" * 80, b"[" * 80, b"a" * 300),
)
_WORD = re.compile("[a-z]{5,}", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


class TooSlowError(Exception):
    """A file took longer than any of its size may."""


def mutated(raw: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """The same with a few damages: bytes, tokens, pieces moved, doubled, cut off, or taken from another file."""
    made = bytearray(raw)
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        at = dice.randrange(len(made) + 1)
        length = dice.choice((1, 2, 8, 64, 600))
        match dice.randrange(8):
            case 0 if at < len(made):
                made[at] = dice.choice(_ODD)
            case 1 if at < len(made):
                made[at] ^= 1 << dice.randrange(8)
            case 2:
                made[at:at] = dice.choice(_TOKENS)
            case 3:
                del made[at : at + length]
            case 4:
                start = dice.randrange(len(made) + 1)
                made[at:at] = made[start : start + length]
            case 5:
                other = dice.choice(others)
                start = dice.randrange(len(other))
                made[at : at + dice.choice((0, length))] = other[start : start + length]
            case 6:
                del made[at:]
            case _:
                made[at : at + length] = dice.randbytes(dice.choice((1, 4, 16)))
    return bytes(made)


def check(raw: bytes, limits: Limits, *, is_text: bool) -> None:
    """Read a file by every rule.

    Raises:
        AssertionError: a rule is broken.
        TooSlowError: it took too long.
    """
    items = list(read_known(io.BytesIO(raw), limits))
    for item in items:
        longest = 3 * len(raw) if is_text else item.end  # other charsets are counted as UTF-8, members by themselves
        assert 0 <= item.start <= item.end <= longest, "a place outside the file"
        if isinstance(item, Found):
            assert from_canonical(item.sample.canonical) == item.sample, "a sample that is not read back"
            assert all(text == clean(text) for text in item.sample.texts), "a text that is not clean"
    assert items or not raw.strip() or not clean(raw.decode("utf-8", "replace")), "a file of which nothing is said"
    if is_text:
        said = {
            word for item in items if isinstance(item, Found) for text in item.sample.texts for word in _words(text)
        }
        strange = said - set(_words_in(raw))
        assert len(strange) <= _MOST_STRANGE, f"words that are not in the file: {sorted(strange)[:5]}"


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _words_in(raw: bytes) -> Iterator[str]:
    """Every word in a file as it is, and with its escapes or quotes taken out."""
    without = _ESCAPE.sub(lambda found: b" " if found[1] or found[2] in b"nrtbf" else found[2], raw)
    joined = _ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "replace") if found[1] else b"", raw)
    for form in (raw, without, joined, raw.replace(b'"', b"")):
        yield from _words(clean(form.decode("utf-8", "replace")))
    yield from ("tools", "arguments")  # what a list of tools and a call are learned with


def _alarm(number: int, frame: object) -> None:
    raise TooSlowError(f"more than {_LONGEST_SECONDS:g} s")


def fuzz(name: str, raw: bytes, others: list[bytes], seconds: float, dice: random.Random, out: Path) -> Counter[str]:
    """Feed files made from a seed; how many there were, and how many broke which rule."""
    counts = Counter[str]()
    is_text = b"\0" not in raw and not raw.startswith((b"\x1f\x8b", b"BZh", b"\xfd7z", b"PK"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        made = mutated(raw, others, dice)
        counts["files"] += 1
        signal.setitimer(signal.ITIMER_REAL, _LONGEST_SECONDS)
        try:
            check(made, dice.choice(_LIMITS), is_text=is_text)
        except Exception as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            counts[what] += 1
            if counts[what] == 1:
                file = out / f"{hashlib.sha256(made).hexdigest()[:12]}-{Path(name).name}"
                file.write_bytes(made)
                print(f"{name}: {what}: {str(error)[:200]}: {file}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return counts


def main() -> int:
    """Fuzz all seeds, or those named; 0 where no rule was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    signal.signal(signal.SIGALRM, _alarm)
    known = seeds()
    broken = 0
    for name in options.names or known:
        dice = random.Random(f"{options.seed} {name}")
        counts = fuzz(name, known[name], list(known.values()), options.seconds, dice, options.out)
        files = counts.pop("files")
        broken += counts.total()
        print(f"{name}: {files:,} files, {counts.total()} broke a rule", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
