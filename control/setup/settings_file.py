"""The commented ``thord.toml`` and the folders that ``thorctl init`` creates; existing files are never touched."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from control import errors
from control.paths import WATCHED, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from control.paths import Paths

_SETTING_LINE = re.compile(r"#(?P<key>\w+) = ")
_SIZES_OF_A_FAMILY = re.compile(r"\w+: ([\w.-]+(?:, [\w.-]+)*)")
"""``thor: tiny, small``"""
_PROFILE_LINE = re.compile(r"^#?\s*profile\s*=.*$", re.MULTILINE)


def create(paths: Paths, profile: str | None, suits: str | None = None) -> None:
    """Write the settings file and make the folders; for ``profile`` and ``suits`` see `settings_text`.

    Raises:
        UsageError: there is no such profile.
        ThordError: there is a settings file already, or a folder cannot be made.
    """
    text = settings_text(profile, suits)
    try:
        for folder in (paths.config.parent, paths.logs, *(paths.inbox / name for name in WATCHED)):
            folder.mkdir(parents=True, exist_ok=True)
        with paths.config.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if error.filename == str(paths.config):
            raise errors.ThordError(f"{paths.config} is there already and stays as it is", "exists") from error
        raise errors.ThordError(f"{error.filename} is in the way: it should be a folder", "exists") from error
    except PermissionError as error:
        raise errors.NotPermittedError(
            f"{error.filename} may not be written by this user; choose another --home, or use sudo"
        ) from error
    except OSError as error:
        raise errors.ThordError(f"{error.filename} could not be made: {error.strerror}") from error


def profile_names() -> list[str]:
    """The profiles that ship with thord."""
    return sorted(file.stem for file in share("etc/profiles").glob("*.toml"))


def setting_names() -> list[str]:
    """Every setting, by its dotted name: ``training.epochs``; without those of tables that the user names."""
    section: str | None = ""
    names = []
    for line in share("etc/thord.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = f"{line.strip('[]')}."
        elif line.startswith("#["):
            section = None
        elif section is not None and (found := _SETTING_LINE.match(line)):
            names.append(section + found["key"])
    return names


def preset_names() -> list[str]:
    """The sizes of models, of all families, as the comment on ``model.preset`` lists them."""
    lines = share("etc/thord.toml").read_text(encoding="utf-8").splitlines()
    comment = lines[next(number for number, line in enumerate(lines) if line.startswith("#preset = ")) - 1]
    names = ", ".join(sizes.rstrip(".") for sizes in _SIZES_OF_A_FAMILY.findall(comment)).split(", ")
    return list(dict.fromkeys(names))


def settings_text(profile: str | None, suits: str | None = None) -> str:
    """``thord.toml`` with every setting as a comment, at the value that it has, and the profile chosen.

    It is a copy of the text that ships with thord, because a TOML library would drop the comments. Where no profile is
    chosen, ``suits`` names the one that thord chooses by itself.

    Raises:
        UsageError: there is no such profile.
    """
    text = share("etc/thord.toml").read_text(encoding="utf-8")
    names = profile_names()
    if profile is not None and profile not in names:
        raise errors.UsageError(f"there is no profile {profile}; there are {', '.join(names)}")
    in_force = profile or suits
    if in_force in names:
        text = "".join(_with_values_of(in_force, text.splitlines(keepends=True)))
    if profile is None:
        return text
    line = f"profile = {json.dumps(profile)}"
    chosen, count = _PROFILE_LINE.subn(line, text, count=1)
    return chosen if count else f"{line}\n\n{text}"


def _with_values_of(profile: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines of ``thord.toml``, with a profile's value where it differs from the default."""
    import tomllib

    tables = tomllib.loads(share(f"etc/profiles/{profile}.toml").read_text(encoding="utf-8"))
    table: dict[str, object] = {}
    for line in lines:
        if line.startswith("["):
            table = tables.get(line.strip("[]\n"), {})
        found = _SETTING_LINE.match(line)
        if found and found["key"] in table:
            yield f"#{found['key']} = {json.dumps(table[found['key']])}  # by profile {profile}\n"
        else:
            yield line
