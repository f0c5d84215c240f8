"""How the ranks of a run find each other and hear what is to be done: through the store that torchrun gives them.

A boundary module: torch.distributed has few types.
"""

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from engine.config.distributed import Strategy
from engine.device import ImpossiblePlacementError
from engine.distributed.group import PATIENCE
from engine.training.world import World

_LOOK = PATIENCE
"""So often the others see whether rank 0, which may tokenise for days, is still there. Should it die, torchrun ends
them; but where its host lost power nothing says so, and a connection on which nobody speaks stays open for ever."""
_ORDER = "order"


class Meeting:
    """One rank that torchrun started, as its environment says. Implements `engine.training.world.Ranks`.

    Attributes:
        rank: its number; rank 0 gives the order.
        here: how many ranks are on this host.
        strategy: how they will share the model; to be set before they meet.
    """

    def __init__(self) -> None:
        self._store, self.rank, self._size = next(iter(rendezvous("env://", timeout=PATIENCE)))
        self.here = int(os.environ["LOCAL_WORLD_SIZE"])
        self._place = int(os.environ["LOCAL_RANK"])
        self.strategy: Strategy = "ddp"
        self._order: str | None = None

    @contextlib.contextmanager
    def ordering(self, text: str) -> Iterator[None]:
        """Rank 0: what the others are told to do once everything is prepared; nothing, should it never be."""
        self._order = text
        try:
            yield
        finally:
            self._tell("")

    def await_order(self) -> str:
        """The others: what rank 0 said; empty where there is nothing to do.

        Raises:
            torch.distributed.DistNetworkError: the host of rank 0 is gone.
        """
        while True:
            with contextlib.suppress(dist.DistStoreError):  # nothing said yet
                self._store.wait([_ORDER], _LOOK)
                break
        said: bytes = self._store.get(_ORDER)
        return said.decode()

    def _tell(self, text: str) -> None:
        """Give the others the order, unless they have it."""
        if self._order is not None:
            self._store.set(_ORDER, text)
        self._order = None

    def meet(self, device: torch.device) -> World:
        """As the Protocol: gloo between processors, nccl between GPUs, one for each rank of a host.

        Raises:
            ImpossiblePlacementError: there are fewer GPUs than ranks on this host.
            RuntimeError: a rank does not come.
        """
        if device.type == "cuda":
            if self.here > torch.cuda.device_count():
                raise ImpossiblePlacementError(
                    f"this host has {torch.cuda.device_count()} GPUs for {self.here} ranks, and each needs one: lower "
                    "training.distributed.processes"
                )
            torch.cuda.set_device(self._place)
        self._tell(self._order or "")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=PrefixStore("group", self._store),
            rank=self.rank,
            world_size=self._size,
            timeout=PATIENCE,
        )
        if self.strategy == "fsdp":
            from engine.distributed.sharded import Sharded

            return Sharded(device)
        from engine.distributed.replicated import Replicated

        return Replicated()
