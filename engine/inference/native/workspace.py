"""What computing a program takes besides its weights: where operations read and write. Each thread has its own.

So all versions that share a base share this too, and one may be warmed while others answer. Memory only grows, until
the thread releases it.
"""

import threading

import torch
from torch import Tensor

from engine.inference.native.packing import Packed
from engine.inference.native.program import Buffer, Program
from engine.native import library
from engine.native.library import Kernel
from engine.native.structures import Operations


class Workspace(threading.local):
    """Of one program; made anew in each thread that uses it.

    Attributes:
        kernel: what computes there.
    """

    def __init__(self, program: Program, head: Packed, vocabulary: int, kernel: Kernel) -> None:
        self.kernel = kernel
        self._program = program
        self.release()
        self._body = library.array([step.operation for step in program.steps])
        scores = program.linear(head, program.steps[-1].target, Buffer(vocabulary), library.SET)
        self._head = library.array([scores.operation])

    def release(self) -> None:
        """Give back what this thread took."""
        self._tokens = 0
        self._memory: dict[int, Tensor] = {}
        self._inner = torch.empty(0)
        self._scratch = torch.empty(0, dtype=torch.uint8)

    def body_for(self, tokens: int, hidden_MD: Tensor) -> Operations:
        """The operations on so many tokens, the last of which writes ``hidden_MD``."""
        if tokens > self._tokens:
            self._tokens = tokens
            buffers = {id(step.source): step.source for step in self._program.steps if step.source}
            self._memory = {place: torch.empty(tokens, each.width) for place, each in buffers.items()}
            for operation, step in zip(self._body, self._program.steps, strict=True):
                operation.source = None if step.source is None else self._memory[id(step.source)].data_ptr()
                if id(step.target) in self._memory:  # all but the last, which is said below
                    operation.target = self._memory[id(step.target)].data_ptr()
        self._body[-1].target = hidden_MD.data_ptr()
        return self._body

    def head_for(self, hidden_ND: Tensor, logits_NV: Tensor) -> Operations:
        """The operation that makes scores of hidden states."""
        self._head[0].source, self._head[0].target = hidden_ND.data_ptr(), logits_NV.data_ptr()
        return self._head

    def scratch(self, tokens: int, widest: int, longest: int, threads: int) -> Tensor:
        """Room for a call with so many tokens, inputs of a product, positions and threads."""
        needed = self.kernel.scratch_bytes(tokens, widest, longest, threads)
        if needed > self._scratch.numel():
            self._scratch = torch.empty(needed, dtype=torch.uint8)
        return self._scratch

    def inner(self, tokens: int, width: int) -> Tensor:
        """[tokens, width]: what the first factors of adapters make; beyond it there is room for the same in bf16."""
        needed = -(-tokens * width * 3 // 2)
        if self._inner.numel() < needed:
            self._inner = torch.empty(needed)
        return self._inner[: tokens * width].view(tokens, width)
