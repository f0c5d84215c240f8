"""``[training.distributed]``: on how many processes and hosts a run is carried out."""

import re
from typing import Literal

from pydantic import Field, model_validator

from engine.section import Section

Strategy = Literal["ddp", "fsdp"]


class DistributedSettings(Section):
    """``[training.distributed]``: one run on several processes, of one host or more."""

    processes: int = Field(
        1,
        gt=0,
        description="Processes on this host that train together, on GPUs each on its own; they share each step's rows.",
    )
    strategy: Strategy = Field(
        "ddp", description="Whole models side by side (ddp), or each process keeps a part of the weights (fsdp)."
    )
    hosts: int = Field(1, gt=0, description="Hosts that train together, each with as many processes.")
    rendezvous: str | None = Field(
        None,
        examples=["10.0.0.1:29400"],
        description="Address and port of this host, at which the others find it; needed where there are several.",
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
            raise ValueError(f"rendezvous '{self.rendezvous}' is no address and port, such as 10.0.0.1:29400")
        return self
