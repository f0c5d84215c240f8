"""``thorctl doctor --plan``: what the model of the settings, or another size of it, needs and gives on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from control import engine_process
from control.service.process import resolve_settings
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from control.answers import Json
    from control.paths import Paths

_MIB = 1 << 20
_CYCLE_TOKENS, _CYCLE_PASSES = 10_000, 4


def plan(home: str | None, preset: str | None, paths: Paths) -> dict[str, Json]:
    """What `engine.forecast` finds: for the model that serves, else for the settings, with ``preset`` for their size.

    Takes up to minutes. ``version`` names the one that serves, where it is that.

    Raises:
        UsageError: the settings are wrong, or the preset is unknown.
        ThordError: the model cannot be trained here at all.
    """
    settings = resolve_settings(home)["settings"]
    if preset is not None or (serving := _serving(paths)) is None:
        return _measured(settings, preset)
    version, tables = serving
    return {"version": version, **_measured({**settings, **tables}, None)}


def _serving(paths: Paths) -> tuple[str, dict[str, Json]] | None:
    """The version that serves, and its model and tokenizer as tables of settings."""
    try:
        folder = paths.current.resolve(strict=True)
        config = json.loads((folder / "config.json").read_bytes())
        kind = "bytes" if config["tokenizer"] == "bytes" else "bpe"
        return folder.name, {
            "model": config["model"],
            "tokenizer": {"kind": kind, "vocabulary": config["vocabulary"]},
            "version_folder": str(folder),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none serves, or doctor itself says what is wrong with it


def sizes(home: str | None, begin: Callable[[str], None]) -> list[dict[str, Json]]:
    """What `plan` finds for each size of the family, smallest first, until one does not fit; ``begin`` hears its name.

    Raises:
        UsageError: the settings are wrong.
        ThordError: the smallest cannot be trained here at all.
    """
    settings = resolve_settings(home)["settings"]
    found: list[dict[str, Json]] = []
    for name in json.loads(engine_process.run("engine.forecast", ["--sizes", "-"], text=json.dumps(settings))):
        begin(name)
        found.append({"preset": name, **_measured(settings, name)})
        if not found[-1]["batch_size"]:
            break
    return found


def largest(found: Sequence[Mapping[str, Json]]) -> str | None:
    """Of `sizes`, the last one that can be trained while a version of it answers."""
    fitting = None
    for each in found:
        numbers = _numbers(each)
        both = numbers["training_bytes"] + numbers["inference_bytes"]
        if numbers["batch_size"] and both < numbers["available_bytes"]:
            fitting = str(each["preset"])
    return fitting


def lines(found: dict[str, Json]) -> dict[str, str]:
    """The same for people."""
    numbers = _numbers(found)
    fits = f"batch_size {numbers['batch_size']:.0f}, gradient_accumulation {numbers['accumulation']:.0f}"
    if not numbers["batch_size"]:
        fits = (
            "not even one row fits: lower training.sequence_length, set training.activation_checkpointing, "
            "or use a smaller model"
        )
    which = f", of version {found['version']}, which serves" if "version" in found else ""
    seconds = _CYCLE_PASSES * _CYCLE_TOKENS / numbers["tokens_per_second"] if numbers["tokens_per_second"] else None
    return {
        "model": f"{found['family']}, {numbers['parameters']:,.0f} parameters{which}",
        "computes on": f"{found['device']} in {found['dtype']}, {numbers['gemm_flops'] / 1e9:,.0f} GFLOP/s",
        "training": f"{numbers['training_bytes'] / _MIB:,.0f} MiB of {numbers['available_bytes'] / _MIB:,.0f} free",
        "learns": "an adapter (training.method lora)" if found["method"] == "lora" else "all weights",
        "settings": fits,
        "speed": f"{numbers['tokens_per_second']:,.0f} tokens/s, {numbers['share_of_gemm']:.0%} of those GFLOP/s",
        "a cycle": f"{output.duration(seconds)} for a hundred short conversations ({_CYCLE_TOKENS:,} tokens, "
        f"{_CYCLE_PASSES} passes); evaluation takes additional time",
        "inference": f"{numbers['inference_bytes'] / _MIB:,.0f} MiB for {numbers['inference_rows']:.0f} rows at once",
    }


HEAD = ("SIZE", "PARAMETERS", "TRAINING", "BATCH", "TOKENS/S", "ANSWERING")


def row(found: Mapping[str, Json]) -> tuple[str, ...]:
    """One of `sizes` below `HEAD`, for people."""
    numbers = _numbers(found)
    fits = f"{numbers['batch_size']:.0f}" if numbers["batch_size"] else "does not fit"
    return (
        str(found["preset"]),
        f"{numbers['parameters']:,.0f}",
        f"{numbers['training_bytes'] / _MIB:,.0f} MiB",
        fits,
        f"{numbers['tokens_per_second']:,.0f}",
        f"{numbers['inference_bytes'] / _MIB:,.0f} MiB",
    )


def _measured(settings: Mapping[str, Json], preset: str | None) -> dict[str, Json]:
    tables = dict(settings)
    if preset is not None:
        own = tables["model"]
        family = own["family"] if isinstance(own, dict) else None
        tables["model"] = {"family": family, "preset": preset}
    found: dict[str, Json] = json.loads(engine_process.run("engine.forecast", ["-"], text=json.dumps(tables)))
    return found


def _numbers(found: Mapping[str, Json]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
