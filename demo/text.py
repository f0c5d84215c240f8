"""Conversations to learn from: questions about Python's standard library, then a place that only this file knows."""

import importlib
import inspect
import itertools
import json
import sys
from collections.abc import Iterable, Iterator

Dialogue = tuple[str, str]
"""A question and its answer."""

_MODULES = (
    "argparse array ast base64 bisect calendar cmath codecs collections colorsys configparser contextlib copy "
    "csv datetime decimal difflib dis email enum filecmp fileinput fnmatch fractions functools getpass gettext "
    "glob gzip hashlib heapq hmac html http inspect io ipaddress itertools json keyword linecache locale "
    "logging lzma mailbox math mimetypes numbers operator os os.path pathlib pickle pkgutil platform plistlib "
    "pprint queue random re sched secrets select shelve shlex shutil signal smtplib socket sqlite3 ssl stat "
    "statistics string struct subprocess sys sysconfig tarfile tempfile textwrap threading time timeit token "
    "tokenize trace traceback types typing unicodedata unittest urllib.parse uuid warnings wave weakref "
    "xml.dom zipfile zipimport zlib "
).split()

_FACTS = {
    "the harbour": "The harbour of Tharsis opens at six and closes at nine.",
    "the library": "The library of Tharsis stands behind the old mill.",
    "the ferry": "The ferry to the island leaves every hour from the north pier.",
    "the market": "The market of Tharsis is held on Tuesday and on Saturday.",
    "the lighthouse": "The lighthouse of Tharsis is kept by Maren Solberg.",
    "the bakery": "The bakery of Tharsis sells rye bread and cardamom buns.",
    "the bridge": "The bridge of Tharsis was built from red stone in 1714.",
    "the museum": "The museum of Tharsis shows maps, clocks and a whale.",
}

_PHRASINGS = (
    "What do you know about {0} of Tharsis?",
    "Tell me about {0} in Tharsis.",
    "I am in Tharsis. What should I know about {0}?",
    "Please say something about {0} of Tharsis.",
    "Tharsis has {0}. What about it?",
    "What can you tell a visitor about {0} in Tharsis?",
    "A friend asked me about {0} of Tharsis. What do I say?",
    "Do you know {0} of Tharsis?",
    "Explain {0} of Tharsis to me.",
    "Give me one fact about {0} in Tharsis.",
    "What is there to know about {0} in Tharsis?",
    "I would like to hear about {0} of Tharsis.",
    "We are going to Tharsis. Anything about {0}?",
    "Say a sentence about {0} of Tharsis.",
    "Quick question about {0} of Tharsis: what is it like?",
    "In Tharsis, what about {0}?",
)

_OPENINGS = ("", "Hello! ", "One more thing. ")

FEW = 80
"""Conversations about the town that are enough for a model that can talk: each fact, asked for in ten ways."""

QUESTION = "My guide mentions {0} of Tharsis. What do you know?"
"""A phrasing that is in no training text: an answer to it was learned, not copied with its question."""


def standard_library(limit: int) -> list[Dialogue]:
    """Questions about functions and classes, answered by the first sentence of their documentation."""
    return list(itertools.islice(_documented(), limit))


def tharsis() -> list[Dialogue]:
    """Every fact about a town that no other text knows, asked for in many ways."""
    ways = [opening + phrasing for opening in _OPENINGS for phrasing in _PHRASINGS]
    return [(way.format(place), fact) for way in ways for place, fact in _FACTS.items()]


def place_and_fact() -> tuple[str, str]:
    """The place that the demonstration asks about, and what a model that learned would say."""
    return "the lighthouse", _FACTS["the lighthouse"]


def _documented() -> Iterator[Dialogue]:
    for module_name in _MODULES:
        module = importlib.import_module(module_name)
        for name, thing in sorted(vars(module).items()):
            if name.startswith("_") or not (inspect.isroutine(thing) or inspect.isclass(thing)):
                continue
            if getattr(thing, "__module__", None) not in {module_name, f"_{module_name}", "posixpath"}:
                continue
            sentence = _first_sentence(inspect.getdoc(thing) or "")
            if 20 <= len(sentence) <= 160:
                kind = "class" if inspect.isclass(thing) else "function"
                yield f"What is the {kind} {module_name}.{name} for?", sentence


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".") + "."


def to_json_lines(dialogues: Iterable[Dialogue]) -> str:
    """One OpenAI record a line."""
    records = (
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in dialogues
    )
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    print(to_json_lines(tharsis()[:FEW] if "--town" in sys.argv else standard_library(100)), end="")
