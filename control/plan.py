"""``thorctl doctor --plan``: what the model of the settings, or another size of it, needs and gives on this machine."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

from control import heavy
from control.process import resolve_settings

if TYPE_CHECKING:
    from control.answers import Json

_MIB = 1 << 20


def plan(home: str | None, preset: str | None) -> dict[str, Json]:
    """What `engine.plan` finds, for the settings with ``preset`` in place of their own size. Takes up to minutes.

    Raises:
        UsageError: the settings are wrong, or the preset is unknown.
        ThordError: the model cannot be trained here at all.
    """
    tables = dict(resolve_settings(home)["settings"])
    if preset is not None:
        own = tables["model"]
        family = own["family"] if isinstance(own, dict) else None
        tables["model"] = {"family": family, "preset": preset}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(tables, file)
        file.flush()
        found: dict[str, Json] = json.loads(heavy.run("engine.plan", [file.name]))
    return found


def lines(found: dict[str, Json]) -> dict[str, str]:
    """The same for people."""
    numbers = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    fits = f"batch_size {numbers['batch_size']:.0f}, accumulation {numbers['accumulation']:.0f}"
    if not numbers["batch_size"]:
        fits = "not even one row fits: lower training.length, set training.recompute, or take a smaller model"
    return {
        "model": f"{found['family']}, {numbers['parameters']:,.0f} parameters",
        "computes on": f"{found['device']} in {found['dtype']}, {numbers['gemm_flops'] / 1e9:,.0f} GFLOP/s",
        "training": f"{numbers['training_bytes'] / _MIB:,.0f} MiB of {numbers['available_bytes'] / _MIB:,.0f} free",
        "settings": fits,
        "speed": f"{numbers['tokens_per_second']:,.0f} tokens/s, {numbers['share_of_gemm']:.0%} of those GFLOP/s",
        "inference": f"{numbers['inference_bytes'] / _MIB:,.0f} MiB for {numbers['inference_rows']:.0f} rows at once",
    }
