"""Profiles: defaults for a kind of machine, one TOML file each; and which one to use if the user chose none."""

from pathlib import Path

from control.paths import share

_GIB = 1 << 30


class UnknownProfileError(Exception):
    """A profile of this name does not exist."""


def names() -> list[str]:
    """The names of all profiles, sorted."""
    return sorted(file.stem for file in share("etc/profiles").glob("*.toml"))


def find(name: str) -> Path:
    """The file of a profile.

    Raises:
        UnknownProfileError: no profile has that name.
    """
    if name not in names():
        raise UnknownProfileError(f"no such profile; known: {', '.join(names())}")
    return share("etc/profiles") / f"{name}.toml"


def for_this_machine() -> tuple[str, str]:
    """The profile that suits this machine, and why."""
    memory = gpu_memory()
    if memory >= 15 * _GIB:
        return "gpu-16gb", f"chosen because a GPU here has {memory / _GIB:.0f} GiB"
    if memory >= 11 * _GIB:
        return "gpu-12gb", f"chosen because a GPU here has {memory / _GIB:.0f} GiB"
    if memory:
        return "cpu", f"chosen because the GPU here has only {memory / _GIB:.0f} GiB"
    return "cpu", "chosen because no NVIDIA GPU was found"


def gpu_memory() -> int:
    """Bytes of the largest NVIDIA GPU; 0 without one. The driver is asked only where its device node exists."""
    if not Path("/dev/nvidiactl").exists():
        return 0
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return max((int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles), default=0)
    except pynvml.NVMLError:
        return 0
