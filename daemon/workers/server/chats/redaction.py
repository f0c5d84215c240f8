"""What must not reach the disk is taken out of texts: by regular expressions of the settings, then by hooks of others.

A hook is an entry point of the group ``thord.redactors``. A package declares one in its ``pyproject.toml``:

    [project.entry-points."thord.redactors"]
    names = "people.thord:without_names"

It names a function from text to text, or a class whose objects are called like one. Hooks are called in the order of
their names, in one thread. What one of them fails at is not to be written: a text that could not be redacted counts as
one that must not be seen.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

GROUP = "thord.redactors"
REDACTED = "[redacted]"
Hook = Callable[[str], object]


class UnredactedError(Exception):
    """These texts must not be written. The message says which hook is at fault, and nothing of what they say."""


class Redaction:
    """The redaction of one server's texts.

    Args:
        most_seconds: A text that takes longer is not kept: the answer's client waits meanwhile.
    """

    def __init__(self, most_seconds: float = 10.0) -> None:
        self._most_seconds = most_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="redaction")
        self._patterns: Sequence[regex.Pattern[str]] = ()
        self._hooks: Sequence[tuple[str, Hook]] | None = None
        self._overdue: Future[list[str]] | None = None

    def apply(self, patterns: Sequence[str]) -> None:
        """Take over what is to be replaced by ``[redacted]``."""
        self._patterns = ()
        if patterns:
            import regex  # 8 ms of a server's start that only those pay who redact

            self._patterns = [regex.compile(pattern) for pattern in patterns]

    async def load(self) -> None:
        """Have the hooks at hand before the first text comes; that may take long.

        Raises:
            UnredactedError: one of them cannot be used.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def of(self, texts: Sequence[str]) -> list[str]:
        """The texts as they may be written, worked out beside the event loop.

        Raises:
            UnredactedError: a hook failed, or they took too long, or still work at what took too long before.
        """
        if self._overdue is not None and not self._overdue.done():  # perhaps for ever: nobody waits for it again
            raise UnredactedError("the redactors are still busy with an earlier text")
        work = self._thread.submit(self._redacted, texts)
        try:
            async with asyncio.timeout(self._most_seconds):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            if work.running():
                self._overdue = work
            raise UnredactedError(f"the redactors took longer than {self._most_seconds:g} seconds") from None

    def _redacted(self, texts: Sequence[str]) -> list[str]:
        hooks = self._load()
        return [self._without(text, hooks) for text in texts]

    def _without(self, text: str, hooks: Sequence[tuple[str, Hook]]) -> str:
        for pattern in self._patterns:
            try:  # some take for ever with some texts; concurrent: the event loop goes on meanwhile
                text = pattern.sub(REDACTED, text, timeout=self._most_seconds, concurrent=True)
            except TimeoutError:
                message = (
                    f"conversation_log.redact: {pattern.pattern!r} took longer than {self._most_seconds:g} seconds"
                )
                raise UnredactedError(message) from None
        for name, hook in hooks:
            try:
                found = hook(text)
            except (Exception, SystemExit) as error:  # its message may hold the text
                raise UnredactedError(f"redactor {name} failed: {type(error).__name__}") from None
            if not isinstance(found, str):
                raise UnredactedError(f"redactor {name} returned no text, but {type(found).__name__}")
            text = found
        return text

    def _load(self) -> Sequence[tuple[str, Hook]]:
        """Those installed, by name. Tried again each time until all of them can be used."""
        if self._hooks is None:
            points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
            self._hooks = [(point.name, _made(point)) for point in points]
        return self._hooks


def _made(point: metadata.EntryPoint) -> Hook:
    try:
        named: object = point.load()
        made: object = named() if isinstance(named, type) else named
    except (Exception, SystemExit) as error:  # code of others
        raise UnredactedError(f"redactor {point.name} ({point.value}) cannot be used: {error}") from error
    if not callable(made):
        raise UnredactedError(f"redactor {point.name} ({point.value}) cannot be used: it cannot be called")
    return made
