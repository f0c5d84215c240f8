"""Compiles the structures of answers beside the event loop, one after the other: a costly one delays only its like."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from daemon.workers.server.errors import ApiError
from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.calls import CallsStructure
from engine.inference.constraints.constraint import Constraint, StructureError
from engine.inference.constraints.structures import Structure
from engine.tokenizers.base import Tokenizer

SECONDS = 10.0
"""Most of them go into waiting for others: llguidance itself gives up on a structure in less than one."""


class StructureCompiler:
    """What the API asks to have an answer held to a structure."""

    def __init__(self) -> None:
        self._structures = CompiledStructures()
        self._thread = ThreadPoolExecutor(1, "structures")

    async def compiled(self, structure: Structure, tokenizer: Tokenizer, field: str) -> Constraint:
        """The structure that the request's ``field`` asks for.

        Raises:
            ApiError: 400, it is not understood, or costs too much; 503, too many are being compiled.
        """
        return await self._made(functools.partial(self._structures.compiled, structure, tokenizer), field)

    async def optional(self, calls: CallsStructure, tokenizer: Tokenizer, field: str) -> Constraint:
        """Free text in which such calls may begin; the rest as `compiled`."""
        return await self._made(functools.partial(self._structures.optional, calls, tokenizer), field)

    async def _made(self, compiling: Callable[[], Constraint], field: str) -> Constraint:
        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._thread, compiling)
        except StructureError as error:
            raise ApiError(400, "invalid_structure", f"{field}: {error}", param=field) from error
        except TimeoutError:
            message = f"{field}: too many structures are being compiled; try again"
            raise ApiError(503, "structures_busy", message, param=field, retry_after=2) from None
