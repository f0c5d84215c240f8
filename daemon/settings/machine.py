"""Check that this machine can do what the settings ask, as far as that is possible without torch."""

import os
from pathlib import Path

from daemon.settings.load import Loaded, SettingsError
from daemon.settings.profiles import gpu_memory


def check(loaded: Loaded) -> None:
    """See whether workers would refuse a device or a precision here.

    Raises:
        SettingsError: a line for each, with the place that set it.
    """
    gpu = _has_gpu()
    found = []
    for name, settings in (("training", loaded.tables.training), ("inference", loaded.tables.inference)):
        if settings.device == "cuda" and not gpu:
            key, says = "device", '"cuda": this machine has no NVIDIA GPU that thord can use; set it to "auto" or "cpu"'
        elif settings.precision == "fp16" and (settings.device == "cpu" or not gpu):
            key, says = "precision", '"fp16": fp16 does not work on a CPU; set it to "auto", "bf16" or "fp32"'
        else:
            continue
        origin = loaded.origins.get(f"{name}.{key}", "defaults")
        found.append(f"{origin}: {name}.{key} = {says}")
    if found:
        raise SettingsError(found)


def _has_gpu() -> bool:
    """Whether there is a GPU, according to the driver, or to its device files if the driver cannot be asked."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return gpu_memory() > 0 or any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/nvhost-gpu").exists()
