"""What variables of the environment and of a file of them set: a pure function, by the table in `variables`.

A variable of the environment takes the place of one of the same name in the file. Where two names set one setting to
different values, the environment wins over the file, and two of the same place are an error that names both.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic import JsonValue

from daemon.settings.environment.variables import (
    BY_FILE,
    BY_NAME,
    DATA_BANK,
    DATA_ROOT,
    FAMILIES,
    GATEWAY,
    SECRETS,
    Kind,
    Variable,
)

PREFIX = "THORD__"
"""``THORD__TRAINING__LEARNING_RATE=1e-4`` sets ``training.learning_rate``."""

Location = tuple[str, ...]

_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "warn": "warning", "error": "error"}
_LEVELS |= {"critical": "error", "fatal": "error"}


@dataclass(frozen=True)
class Setting:
    """A value, and the place that set it."""

    value: JsonValue
    origin: str


@dataclass(frozen=True)
class Translation:
    """What the variables say.

    Attributes:
        settings: by location; for `load` to validate.
        secrets: by the name of the variable.
        others: variables of the file that mean nothing to thord, for the libraries that read them.
        is_production: ``APP_ENV=prod``.
        home: the folder in ``APP__DATA_ROOT``, and the place that set it.
    """

    settings: Mapping[Location, Setting]
    secrets: Mapping[str, str] = field(repr=False)
    others: Mapping[str, str] = field(repr=False)
    is_production: bool
    home: Setting | None
    faults: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    name: str
    text: str
    from_file: bool
    origin: str


def translate(environment: Mapping[str, str], file: Mapping[str, str], file_name: str) -> Translation:
    """What the environment and a file of variables say together. ``file_name`` is what messages call the file."""
    given = {name: _Given(name, text, True, f"{file_name} {name}") for name, text in file.items()}
    given |= {name: _Given(name, text, False, f"environment {name}") for name, text in environment.items()}
    known = {name: each for name, each in given.items() if name in BY_NAME}
    reader = _Reader()
    for each in sorted(given.values(), key=lambda each: (not each.from_file, each.name)):
        variable = BY_NAME.get(each.name)
        if each.name.startswith(PREFIX):
            reader.put(tuple(each.name.removeprefix(PREFIX).lower().split("__")), parse(each.text), each)
        elif variable is not None:
            if each.text.strip():
                reader.read(variable, each, known)
            elif variable.use == "secret":
                reader.warnings.append(f"{each.origin} is empty and protects nothing: set it, or remove it")
        elif each.name.startswith(FAMILIES):
            near = get_close_matches(each.name, BY_NAME, n=1)
            reader.warnings.append(
                f"{each.origin}: thord does not read it" + (f"; did you mean {near[0]}?" if near else "")
            )
    for location, setting in reader.implied.items():
        reader.found.setdefault(location, (setting, True))
    return Translation(
        settings={location: setting for location, (setting, _) in reader.found.items()},
        secrets=reader.secrets,
        others={
            each.name: each.text
            for each in given.values()
            if each.from_file and not each.name.startswith((PREFIX, *FAMILIES)) and _is_for_libraries(each.name)
        },
        is_production=reader.is_production,
        home=reader.home,
        faults=tuple(reader.faults),
        warnings=tuple(reader.warnings),
    )


def from_files(given: Mapping[str, str], place: str) -> tuple[dict[str, str], list[str]]:
    """The variables with each ``NAME_FILE`` replaced by ``NAME`` and what is in the file, and what is wrong with them.

    Only keys, and the address of Redis, which may hold a password, can be given so. ``place`` is what messages call the
    place that they are from. Reads the files.
    """
    found, faults = dict(given), []
    for name in (name for name in BY_NAME if f"{name}_FILE" in given and name in BY_FILE):
        file = Path(found.pop(f"{name}_FILE")).expanduser()
        if given.get(name):
            faults.append(f"{place} {name} and {place} {name}_FILE: remove one")
            continue
        try:
            found[name] = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{place} {name}_FILE: {file} cannot be read: {error}")
    return found, faults


def _is_for_libraries(name: str) -> bool:
    variable = BY_NAME.get(name)
    return variable is None or variable.use == "inherited"


def parse(text: str) -> JsonValue:
    """A value as TOML would read it; anything that is not TOML is a plain string, so quotes can be left out."""
    try:
        value: JsonValue = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value


class _Reader:
    """Collects what variables say; those of the file come first."""

    def __init__(self) -> None:
        self.found: dict[Location, tuple[Setting, bool]] = {}
        self.implied: dict[Location, Setting] = {}
        self.secrets: dict[str, str] = {}
        self.is_production = False
        self.home: Setting | None = None
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def put(self, location: Location, value: JsonValue, given: _Given) -> None:
        before = self.found.get(location)
        if before is not None and before[1] == given.from_file and before[0].value != value:
            self.faults.append(
                f"{before[0].origin} and {given.origin} set {'.'.join(location)} to different values: remove one"
            )
        self.found[location] = Setting(value, given.origin), given.from_file

    def read(self, variable: Variable, given: _Given, known: Mapping[str, _Given]) -> None:
        if given.name == GATEWAY and (bank := known.get(DATA_BANK)) and bank.text.strip():
            return  # the address of the data bank itself is the more exact one
        try:
            value = _READERS[variable.kind](given.text.strip())
        except ValueError as error:
            shown = "" if given.name in SECRETS else f" = {given.text!r}"
            self.faults.append(f"{given.origin}{shown}: {error}")
            return
        match variable.use:
            case "secret":
                self.secrets[variable.name] = given.text.strip()
            case "home":
                self.home = Setting(value, given.origin)
            case "exposure":
                self.is_production = value == "prod"
            case "setting":
                for key in variable.settings:
                    self.put(tuple(key.split(".")), value, given)
                if variable.implies:
                    self.implied[tuple(variable.implies.split("."))] = Setting(True, given.origin)
            case "inherited":
                pass


def _text(text: str) -> JsonValue:
    return text


def _flag(text: str) -> JsonValue:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("expected true or false")
    return text.lower() in _TRUE


def _number(text: str) -> JsonValue:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ValueError("expected a number")


def _seconds_list(text: str) -> JsonValue:
    """RQ takes a pause for each retry; thord has one for all of them."""
    pauses = {_number(part.strip()) for part in text.strip("[]").split(",")}
    if len(pauses) > 1:
        raise ValueError("thord waits equally long before each retry: give one number of seconds")
    return pauses.pop()


def _level(text: str) -> JsonValue:
    if text.lower() not in _LEVELS:
        raise ValueError(f"expected one of {', '.join(level.upper() for level in _LEVELS)}")
    return _LEVELS[text.lower()]


def _gateway(text: str) -> JsonValue:
    return f"{text.rstrip('/')}/data-bank"


def _environment(text: str) -> JsonValue:
    if text.lower() not in {"dev", "prod"}:
        raise ValueError("expected dev or prod")
    return text.lower()


_READERS: dict[Kind, Callable[[str], JsonValue]] = {
    "text": _text,
    "flag": _flag,
    "number": _number,
    "seconds list": _seconds_list,
    "level": _level,
    "gateway": _gateway,
    "environment": _environment,
}


def home_fault(home: Setting | None, state: Path, thord_home: str, *, is_of_home: bool) -> str | None:
    """What is wrong with the folder in ``APP__DATA_ROOT``, given the home that thord has.

    Args:
        home: that folder; null if it is not set.
        state: the home.
        thord_home: ``THORD_HOME`` in the environment, or nothing.
        is_of_home: the file of variables is the one that lies in the home, and was not named.
    """
    if home is None or Path(str(home.value)).expanduser().absolute() == state:
        return None
    if not home.origin.startswith("environment "):
        remedy = f"set {DATA_ROOT} in the environment, or name the file with --env-file"
        return f"{home.origin}: a file in {state} cannot choose another home: {remedy}" if is_of_home else None
    if thord_home and Path(thord_home).expanduser().absolute() == state:
        return f"environment THORD_HOME and {home.origin} name different folders: remove one"
    return None
