"""A version of thord as a folder that `transformers`, vLLM and SGLang read.

thor and gpt2 are models they know; of the other families, weights, settings and tokenizer are written all the same, to
be kept or shared, and thord takes them back. ``python -m engine.huggingface.exporting VERSION_FOLDER DIR`` writes one.
"""

import argparse
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from engine import artifacts, model_files, version
from engine.artifacts import ArtifactError
from engine.huggingface import layout, tokenizer
from engine.huggingface.layout import ForeignModelError
from engine.tokenizers import registry as tokenizers


def write(source: Path, target: Path) -> None:
    """Write the version in ``source`` to the folder ``target``, which must not exist yet.

    Raises:
        ArtifactError: the version is damaged.
        ForeignModelError: it has what no known layout has, or ``target`` exists.
        OSError: the disk is full or refused.
    """
    if target.exists():
        raise ForeignModelError(f"{target} exists already")
    artifacts.verify(source)
    config = version.read_config(source)
    words = tokenizers.load(config.tokenizer, source)
    described = layout.write(config.model, config.vocabulary, config.tokenizer)
    tensors = load_file(source / version.WEIGHTS)
    described["dtype"] = described["torch_dtype"] = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    with artifacts.publishing(target) as draft:
        save_file(tensors, draft / model_files.SINGLE, metadata={"format": "pt"})
        special = tokenizer.write(words, draft, config.model.shape.context)
        artifacts.write_json(draft / model_files.CONFIG, described | special)
        artifacts.write_json(draft / tokenizer.GENERATION, {"_from_model_config": False, **special})


def main() -> int:
    """0, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Write a version in the layout of Hugging Face.")
    parser.add_argument("version", type=Path, metavar="VERSION_FOLDER")
    parser.add_argument("target", type=Path, metavar="DIR")
    options = parser.parse_args()
    try:
        write(options.version, options.target)
    except (ArtifactError, ForeignModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
