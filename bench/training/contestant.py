"""The contestant's side of the race: it trains so many steps whenever it is told to, and says how long they took.

Lines on standard input are numbers of steps, 0 to end; each is answered by a line of JSON on standard output.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
import work
from work import Size

from engine import memory


class Contestant:
    """Counts steps and holds its caller between turns. Losses of the warm-up are kept."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("folder", type=Path, help="what work.write made")
        parser.add_argument("size", choices=work.SIZES)
        parser.add_argument("data", choices=("packed", "ragged"))
        parser.add_argument("--steps", type=int, required=True, help="in all")
        parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
        parser.add_argument("--warm-up", type=int, default=work.WARM_UP, help="steps before the first turn")
        parser.add_argument("--compiled", action="store_true")
        parser.add_argument("--float32", action="store_true", help="instead of bf16, at the rate of the check")
        options = parser.parse_args()
        self.folder: Path = options.folder
        self.data: str = options.data
        self.steps: int = options.steps
        self.device = torch.device(options.device)
        self.compiled: bool = options.compiled
        self.size: Size = work.SIZES[options.size]
        self.float32: bool = options.float32
        self.settings = work.training(self.size, options.steps)
        if self.float32:
            self.settings = self.settings.model_copy(update={"learning_rate": work.CHECKED_RATE})
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints is no answer
        self._losses: list[torch.Tensor | float] = []
        self._warm_up = self._left = options.warm_up
        self._supervised = 0
        self._began = time.perf_counter()
        self.seconds = 0.0

    def stepped(self, loss: torch.Tensor | float, supervised: int) -> bool:
        """After every step; whether to go on."""
        if len(self._losses) < self._warm_up:
            self._losses.append(loss)
        self._supervised += supervised
        self._left -= 1
        if self._left:
            return True
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._began
        self.seconds += seconds
        self._answer(seconds=seconds, supervised=self._supervised)
        self._left, self._supervised = int(sys.stdin.readline()), 0
        self._began = time.perf_counter()
        return self._left > 0

    def finished(self, **more: object) -> None:
        """The last answer: losses and the peak of memory."""
        on_gpu = self.device.type == "cuda"
        peak = torch.cuda.max_memory_reserved() if on_gpu else memory.peak_bytes()
        self._answer(losses=[float(loss) for loss in self._losses], peak_bytes=peak, **more)

    def _answer(self, **values: object) -> None:
        print(json.dumps(values), file=self._answers, flush=True)
