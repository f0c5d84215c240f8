"""What a path holds that a person calls a model, found without torch, so that most mistakes are named at once.

    hf           a folder with config.json, weights and tokenizer.json
    gguf         a file that begins with GGUF
    checkpoint   a folder of a run of thord's
    peft         a folder with adapter_config.json and adapter_model.safetensors

Only what can be said at once is said here; the rest is for those who read the model.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

Layout = Literal["hf", "checkpoint", "gguf", "peft"]
CONFIG, SINGLE, INDEX, TOKENIZER = "config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"
ADAPTER, FACTORS = "adapter_config.json", "adapter_model.safetensors"
DECODERS = ("llama", "mistral", "qwen2", "qwen3")
MODEL_TYPES = (*DECODERS, "gemma3_text", "phi3", "smollm3", "granite", "olmo2", "gemma2", "gpt_neox", "gpt2")
"""Values of ``model_type`` in ``config.json`` that thord reads."""
_LARGEST_CONFIG = 1 << 24


def is_gguf(file: Path) -> bool:
    """Whether a file begins as GGUF does; false where it cannot be read."""
    return _begins(file, 4) == b"GGUF"


def fault(path: Path, layout: Layout) -> str:
    """Why what lies at ``path`` cannot be taken for a model of that layout, and what to do; "" where nothing is seen.

    Blocking, reads no more than the beginnings of files.
    """
    return _unreadable(path) or _CHECKS[layout](path)


def _hf(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is not a folder, but {_kind_of_file(folder)}"
    config = folder / CONFIG
    if (folder / ADAPTER).exists():
        base = _read(folder / ADAPTER).get("base_model_name_or_path")
        return (
            f"{folder} is a LoRA adapter, the difference to {base or 'another model'}, not a whole model: import and "
            f"promote that one, then: thorctl import peft {folder}"
        )
    if not config.exists():
        return f"{config}: there is no such file{_instead(folder)}"
    if not (folder / TOKENIZER).exists():
        return f"{folder} has no {TOKENIZER}; make it with transformers: AutoTokenizer, then save_pretrained"
    needed = [config, *_weights(folder), folder / TOKENIZER]
    for file in needed:
        if why := _unreadable(file):
            return why
    said = _read(config)
    if "family" in said and "model_type" not in said:
        return f"{folder} is a version of a thord: write it with 'thorctl export hf DIR' there, and import DIR"
    kind = said.get("model_type")
    if isinstance(kind, str) and kind not in MODEL_TYPES and not kind.startswith("thord-"):
        return f"{config}: model_type '{kind}' is not known; known are {', '.join(MODEL_TYPES)}"
    return ""


def _gguf(file: Path) -> str:
    if file.is_dir():
        return f"{file} is a folder{_instead(file) or ', not a GGUF file'}"
    return "" if is_gguf(file) else f"{file} is not a GGUF file, but {_kind_of_file(file)}"


def _checkpoint(folder: Path) -> str:
    return "" if folder.is_dir() else f"{folder} is not a folder, but {_kind_of_file(folder)}"


def _peft(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is not a folder, but {_kind_of_file(folder)}"
    if not (folder / ADAPTER).exists():
        whole = (folder / CONFIG).exists()
        return f"{folder} has no {ADAPTER}" + (f"; it is a whole model: thorctl import hf {folder}" if whole else "")
    if not (folder / FACTORS).exists():
        pickled = (folder / "adapter_model.bin").exists()
        return f"{folder} has no {FACTORS}" + ("; save it again with PEFT's save_pretrained" if pickled else "")
    return _unreadable(folder / ADAPTER) or _unreadable(folder / FACTORS)


_CHECKS: Mapping[Layout, Callable[[Path], str]] = {"hf": _hf, "gguf": _gguf, "checkpoint": _checkpoint, "peft": _peft}


def _weights(folder: Path) -> list[Path]:
    """The files of the weights, as far as they can be named without reading them."""
    names = _read(folder / INDEX).get("weight_map") if (folder / INDEX).exists() else None
    if isinstance(names, dict):
        return [folder / str(name) for name in sorted(set(map(str, names.values()))) if Path(name).name == name]
    single = folder / SINGLE
    return [single] if single.exists() or single.is_symlink() else []


def _instead(folder: Path) -> str:
    """What is there in place of a model's files."""
    files = sorted(folder.iterdir())
    if found := [file for file in files if file.suffix == ".gguf"]:
        return f"; it holds {found[0].name}: thorctl import gguf {found[0]}"
    if (folder / "optimizer.safetensors").exists():
        return f"; it is a checkpoint of a run: thorctl import checkpoint {folder}"
    if any(file.suffix in {".pth", ".ckpt", ".pt"} for file in files):
        return "; it holds weights as torch pickles them: save the model again with transformers' save_pretrained"
    inner = next((file.parent for depth in ("*", "*/*") for file in folder.glob(f"{depth}/{CONFIG}")), None)
    return f"; {inner} has one" if inner else ""


def _kind_of_file(file: Path) -> str:
    begins = _begins(file, 9)
    if begins.startswith(b"GGUF"):
        return f"a GGUF file: thorctl import gguf {file}"
    if file.suffix == ".safetensors" or begins[8:] == b"{":
        return f"a file of weights: give the folder with its {CONFIG}"
    if begins.startswith(b"PK"):
        return "an archive: unpack it first"
    return "some other file"


def _unreadable(path: Path) -> str:
    """Why this process cannot read a file or a folder, in the system's words; "" where it can."""
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return f"{path}: {_reason(path, error)}"
    return ""


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"thord, which runs as uid {os.geteuid()}, may not read it ({error.strerror})"
    if path.is_symlink():
        return f"a link to {path.readlink()}, where nothing is"
    return error.strerror or str(error)


def _read(file: Path) -> dict[str, JsonValue]:
    """A JSON object; an empty one where the file holds something else."""
    try:
        with file.open("rb") as stream:
            value: JsonValue = json.loads(stream.read(_LARGEST_CONFIG))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _begins(file: Path, count: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(count)
    except OSError:
        return b""
