"""``[training.distributed]``: on how many processes and hosts a run is carried out."""

import re
from typing import Literal

from pydantic import Field, model_validator

from engine.section import Section

Strategy = Literal["ddp", "fsdp"]


class DistributedSettings(Section):
    """``[training.distributed]``: one run on several processes, on one or more hosts."""

    processes: int = Field(
        1,
        gt=0,
        description="Number of processes on this host that train together and share each step's rows; on GPUs, each "
        "uses its own.",
    )
    strategy: Strategy = Field(
        "ddp",
        description="Replicate the whole model in each process (ddp), or shard its weights across processes (fsdp).",
    )
    hosts: int = Field(
        1, gt=0, description="Number of hosts that train together, each with the same number of processes."
    )
    rendezvous: str | None = Field(
        None,
        examples=["10.0.0.1:29400"],
        description="Address and port of this host, where the other hosts find it; required for more than one host.",
    )

    @property
    def world_size(self) -> int:
        """All processes on all hosts."""
        return self.processes * self.hosts

    @model_validator(mode="after")
    def _is_possible(self) -> "DistributedSettings":
        if self.hosts > 1 and self.rendezvous is None:
            raise ValueError(f"hosts ({self.hosts}) needs rendezvous, the address and port of this host")
        found = re.fullmatch(r".+:(\d{1,5})", self.rendezvous or "")
        if self.rendezvous is not None and not (found and 0 < int(found[1]) < 1 << 16):
            raise ValueError(f"rendezvous '{self.rendezvous}' is not an address and port, such as 10.0.0.1:29400")
        return self
