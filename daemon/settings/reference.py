"""Writes what is documented about settings from the settings themselves: ``etc/thord.toml`` and ``docs/settings.md``.

``python -m daemon.settings.reference etc/thord.toml`` or ``... docs/settings.md`` prints the text of that file.
"""

import json
import sys
import types
import typing
from collections.abc import Iterator

import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.settings import profiles
from daemon.settings.sections import Tables

Row = tuple[str, FieldInfo]
_OF_THE_USER = "NAME"


def toml() -> str:
    """``thord.toml`` with every setting, commented out at its default."""
    lines = [
        "# thord: every setting, with the value it has if you set nothing. Remove the # from a line to change it.",
        "# A value here is overridden by the environment (THORD__TRAINING__LEARNING_RATE=1e-4) and by",
        "# --set training.learning_rate=1e-4. 'thord --check' finds mistakes, 'thorctl reload' applies what it can.",
        "",
        f"# Defaults for a kind of machine: {', '.join(profiles.names())}. Without it thord chooses one, and says so.",
        '#profile = "cpu"',
    ]
    for table, title, rows in _tables():
        # A table that the user names is none until he does.
        lines += ["", f"# {title.replace('``', '')}", f"#[{table}]" if _OF_THE_USER in table else f"[{table}]"]
        for key, field in rows:
            lines += [f"# {field.description} {_allowed(field)}".rstrip() + _example(field), _commented(key, field)]
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The reference page of every setting."""
    lines = [
        "# Settings",
        "",
        "Generated from the code by `make docs`. Set them in `thord.toml`, as `THORD__SECTION__KEY=value` in the",
        'environment, or with `--set section.key=value`; later ones win. `profile = "NAME"` chooses defaults for a',
        f"kind of machine: {', '.join(f'`{name}`' for name in profiles.names())}.",
    ]
    for table, title, rows in _tables():
        lines += ["", f"## `[{table}]`", "", title.replace("``", "`"), "", "| key | default | what |", "|---|---|---|"]
        for key, field in rows:
            what = f"{field.description} {_allowed(field)}".rstrip().replace("|", "\\|")
            lines.append(f"| `{key}` | `{_default(field)}` | {what} |")
    return "\n".join(lines) + "\n"


def _tables(around: type[BaseModel] = Tables, at: str = "") -> Iterator[tuple[str, str, list[Row]]]:
    """Every table, and after it the tables inside it."""
    for name, field in around.model_fields.items():
        if section := _section(field):
            at_here = f"{at}{name}.{_OF_THE_USER}" if typing.get_origin(field.annotation) is dict else at + name
            title = (section.__doc__ or "").split("\n")[0].split(": ", 1)[-1]
            rows = [(key, inner) for key, inner in section.model_fields.items() if not _section(inner)]
            if rows:  # else it holds tables only
                yield at_here, title[0].upper() + title[1:], rows
            yield from _tables(section, f"{at_here}.")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The table that a field is, or one of the tables by name."""
    kind = field.annotation
    if typing.get_origin(kind) is dict:
        kind = typing.get_args(kind)[1]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _default(field: FieldInfo) -> str:
    return "" if field.default is None or field.is_required() else json.dumps(field.default)


def _example(field: FieldInfo) -> str:
    """What stands before the line of a setting that has an example."""
    if field.default is None:
        return " Unset by default; an example:"
    if field.is_required():
        return " Required; an example:"
    return f" For example: {json.dumps(field.examples[0])}" if field.examples else ""


def _commented(key: str, field: FieldInfo) -> str:
    value = (field.examples or [None])[0] if field.default is None or field.is_required() else field.default
    if isinstance(value, dict):
        inner = ", ".join(tomli_w.dumps({name: each}).strip() for name, each in value.items())
        return f"#{key} = {{ {inner} }}"
    if isinstance(value, list | tuple):  # on one line, so that one # is enough
        return f"#{key} = {json.dumps(value)}"
    return f"#{tomli_w.dumps({key: value}).strip()}"


def _allowed(field: FieldInfo) -> str:
    """The values a field takes, where there are only a few."""
    options = [field.annotation]
    if typing.get_origin(field.annotation) in {typing.Union, types.UnionType}:
        options = list(typing.get_args(field.annotation))
    words = [str(word) for option in options if typing.get_origin(option) is typing.Literal for word in _words(option)]
    return f"({', '.join(words)})" if words else ""


def _words(literal: object) -> tuple[object, ...]:
    return typing.get_args(literal)


if __name__ == "__main__":
    print(toml() if sys.argv[1:] == ["etc/thord.toml"] else markdown(), end="")
