"""Fetch a model from a Hugging Face hub: ``python -m engine.huggingface.fetching OWNER/NAME[/FILE.gguf] CACHE``.

Prints the folder or the file that it became, and its progress on standard error. ``huggingface_hub`` finds the key
(``HF_TOKEN``, or what its login has kept) and the hub (``HF_ENDPOINT``); what it has already is not fetched again.
CACHE is for root, where another user's service must read the files; ``HF_HOME`` and ``HF_HUB_CACHE`` come before it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.model_files import CONFIG

_WANTED = (".json", ".safetensors", ".jinja")
_MISSING = "huggingface_hub is missing: pip install huggingface_hub; or fetch the model by other means: --from DIR"


class HubFetchError(Exception):
    """The model could not be fetched; the message says why, and what to do."""


def fetch(name: str, cache: Path) -> Path:
    """The folder of a model in the layout of Hugging Face, or the GGUF file, of ``OWNER/NAME`` or ``OWNER/NAME/FILE``.

    Raises:
        HubFetchError: the package is missing, the hub refused or was not reached, or there is no such model.
    """
    if not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the package is imported
    try:
        import huggingface_hub
    except ImportError as error:
        raise HubFetchError(_MISSING) from error
    owner, _, rest = name.partition("/")
    model, _, chosen = rest.partition("/")
    repository = f"{owner}/{model}"
    if not owner or not model:
        raise HubFetchError(f"{name!r} is not OWNER/NAME, as models are called on the hub")
    hub = huggingface_hub.HfApi()
    folder = cache if os.geteuid() == 0 and not {"HF_HOME", "HF_HUB_CACHE"} & os.environ.keys() else None
    try:
        wanted = choose(hub.list_repo_files(repository), chosen, repository)
        for place, file in enumerate(wanted, 1):
            print(f"{file} ({place} of {len(wanted)})", file=sys.stderr, flush=True)
            path = Path(huggingface_hub.hf_hub_download(repository, file, cache_dir=folder))
    except HubFetchError:
        raise
    except Exception as error:  # of the package, and of what it speaks HTTP with
        kept = None if isinstance(error, huggingface_hub.errors.HfHubHTTPError) else _kept(repository, folder)
        if kept is None:
            raise HubFetchError(
                f"{repository} could not be fetched from the hub at {hub.endpoint}: {error}. Where it can be reached: "
                f"hf download {repository} --local-dir DIR; then here: thorctl import starter --from DIR"
            ) from error
        print(f"the hub at {hub.endpoint} cannot be reached; taking what was fetched before", file=sys.stderr)
        path = kept / choose([file.name for file in kept.iterdir()], chosen, repository)[0]
    return path if path.suffix == ".gguf" else path.parent


def _kept(repository: str, cache: Path | None) -> Path | None:
    """What was fetched of a repository before, if it was."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(repository, cache_dir=cache, local_files_only=True))
    except huggingface_hub.errors.LocalEntryNotFoundError:
        return None


def choose(files: Sequence[str], chosen: str, repository: str) -> list[str]:
    """The files of a repository that make up the model; of several GGUF files the one ``chosen``.

    Raises:
        HubFetchError: it holds no model, or several.
    """
    packed = sorted(file for file in files if file.endswith(".gguf"))
    if chosen:
        if chosen not in packed:
            raise HubFetchError(f"{repository} has no {chosen}; its GGUF files: {', '.join(packed) or 'none'}")
        return [chosen]
    whole = sorted(file for file in files if file.endswith(_WANTED) and "/" not in file)
    if CONFIG in files and any(file.endswith(".safetensors") for file in whole):
        return whole
    if len(packed) == 1:
        return packed
    if packed:
        raise HubFetchError(
            f"{repository} has several models: {', '.join(packed)}; choose one, as hub:{repository}/{packed[0]}"
        )
    raise HubFetchError(f"{repository} has neither {CONFIG} and safetensors nor a GGUF file")


def main() -> int:
    """0 and the path, or 1 and the reason, on standard output: standard error shows the progress."""
    parser = argparse.ArgumentParser(description="Fetch a model from a Hugging Face hub.")
    parser.add_argument("name", metavar="OWNER/NAME")
    parser.add_argument("cache", type=Path, metavar="CACHE")
    options = parser.parse_args()
    try:
        print(fetch(options.name, options.cache))
    except HubFetchError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
