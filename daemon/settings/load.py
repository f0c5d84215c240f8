"""Where settings come from: defaults, profile, ``thord.toml``, ``.env``, environment, ``--set``; later ones win.

Every mistake in all of them is reported at once, each with the place it was made in.

This is done here and not by pydantic-settings, because that library costs the supervisor 10 MB and 84 ms and cannot say
which source a wrong value came from.
"""

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from control import env_file
from control.env_file import EnvFileError
from control.paths import Paths
from daemon.settings import exposure, profiles
from daemon.settings.environment.translation import Translation, from_files, home_fault, parse, translate
from daemon.settings.environment.variables import API_KEY, DATA_BANK_KEY
from daemon.settings.sections import Tables
from engine.config import renamed

Location = tuple[str, ...]
Table = dict[str, JsonValue]


class SettingsError(Exception):
    """Settings that thord cannot run with: every fault, each on a line of its own."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        head = "a setting is wrong" if len(faults) == 1 else f"{len(faults)} settings are wrong"
        super().__init__("\n".join([f"{head}:", *(f"  {fault}" for fault in faults)]))


@dataclass(frozen=True)
class Loaded:
    """Resolved settings, and where they come from.

    Attributes:
        why: how the profile was chosen, in words.
        origins: dotted key to the place that set it; keys at their default are absent.
        warnings: old names of settings in use, and environment variables that look like settings and are not read.
        secrets: keys from the environment, which are in no setting.
        libraries: variables of the file that are for the libraries that thord uses.
    """

    tables: Tables
    profile: str
    why: str
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    secrets: "Secrets" = field(default_factory=lambda: Secrets(), repr=False)
    libraries: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Secrets:
    """Keys that are given by the environment: of the public API, and of the data bank. Not to be logged or shown."""

    api_key: str | None = None
    data_bank_key: str | None = None


@dataclass(frozen=True)
class _Value:
    value: JsonValue
    origin: str


class _Layers:
    """Values by location, under the settings' new names; a later one takes the place of an earlier one."""

    def __init__(self) -> None:
        self.values: dict[Location, _Value] = {}
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self._written: dict[Location, tuple[str, str]] = {}

    def put_table(self, table: Mapping[str, JsonValue], origin: str, at: Location = ()) -> None:
        for key, value in table.items():
            if isinstance(value, dict) and value:
                self.put_table(value, origin, (*at, key))
            else:
                self.put((*at, key), value, origin)

    def put(self, location: Location, value: JsonValue, origin: str) -> None:
        given = ".".join(location)
        if given in renamed.RENAMED:
            self.warnings.append(f"{origin}: {renamed.warning(given)}")
            location = tuple(renamed.RENAMED[given].split("."))
        name, place = self._written.get(location, (given, origin))
        if name != given and place == origin:
            self.faults.append(f"{origin}: {name} and {given} are the same setting: remove the old name")
        self._written[location] = given, origin
        self.values[location] = _Value(value, origin)

    def nested(self) -> Table:
        root: Table = {}
        for location, entry in self.values.items():
            table = root
            for position, key in enumerate(location[:-1]):
                inner = table.setdefault(key, {})
                if not isinstance(inner, dict):
                    self.faults.append(
                        f"{entry.origin}: {'.'.join(location)}: {'.'.join(location[: position + 1])} is a value, "
                        "not a table"
                    )
                    break
                table = inner
            else:
                if entry.value == {}:  # a table's bare header: it must be known, and changes nothing
                    table.setdefault(location[-1], {})
                else:
                    table[location[-1]] = entry.value
        return root

    def origin(self, location: Location) -> str:
        """The place that set a location, or something inside it, or the table around it."""
        for known, entry in reversed(self.values.items()):
            if known[: len(location)] == location or location[: len(known)] == known:
                return entry.origin
        return "defaults"


def load(
    paths: Paths, profile: str | None = None, overrides: Sequence[str] = (), variables: Path | None = None
) -> Loaded:
    """Read every source and validate the whole.

    Args:
        paths: where ``thord.toml`` is; a missing file is an empty one.
        profile: from ``--profile``; wins over ``profile`` in the file and the environment.
        overrides: from ``--set``, each ``section.key=value``.
        variables: from ``--env-file``; else ``.env`` beside ``thord.toml``, where there is one.

    Raises:
        SettingsError: listing every fault.
    """
    given = _Layers()
    given.put_table(_read_toml(paths.config, given.faults), str(paths.config))
    said = _translated(paths, variables, given)
    for location, setting in said.settings.items():
        given.put(location, setting.value, setting.origin)
    _put_overrides(given, overrides)
    if profile is not None:
        given.put(("profile",), profile, "--profile")

    name, why = _choose_profile(given)
    layers = _Layers()
    layers.faults, layers.warnings = given.faults, given.warnings
    try:
        file = profiles.find(name)
        layers.put_table(_for_family(_read_toml(file, layers.faults), given), f"profile {name} ({file})")
    except profiles.UnknownProfileError as error:
        layers.faults.append(f"{given.origin(('profile',))}: profile = {json.dumps(name)}: {error}")
    layers.values.update(given.values)
    layers.put(("profile",), name, given.origin(("profile",)))

    nested = layers.nested()
    try:
        tables = Tables.model_validate_json(json.dumps(nested, default=str))
    except ValidationError as error:
        layers.faults.extend(_describe(error, layers))
        raise SettingsError(layers.faults) from None
    secrets = Secrets(said.secrets.get(API_KEY), said.secrets.get(DATA_BANK_KEY))
    has_keys = secrets.api_key is not None or "CREDENTIALS_DIRECTORY" in os.environ
    if said.is_production and (fault := exposure.fault(tables.api, layers.origin(("api", "host")), has_keys=has_keys)):
        layers.faults.append(fault)
    if layers.faults:
        raise SettingsError(layers.faults)
    origins = {".".join(location): entry.origin for location, entry in layers.values.items()}
    return Loaded(tables, name, why, origins, tuple(layers.warnings), secrets, said.others)


def _translated(paths: Paths, named: Path | None, layers: _Layers) -> Translation:
    """What the environment and the file of variables say."""
    file = named or paths.config.with_name(env_file.DEFAULT_NAME)
    found: Mapping[str, str] = {}
    if named is not None or file.exists():
        try:
            found = env_file.read(file)
        except EnvFileError as error:
            layers.faults.extend(error.faults)
    environment, faults = from_files(os.environ, "environment")
    found, of_file = from_files(found, str(file))
    layers.faults.extend((*faults, *of_file))
    said = translate(environment, found, str(file))
    layers.faults.extend(said.faults)
    layers.warnings.extend(said.warnings)
    thord_home = os.environ.get("THORD_HOME", "")
    if fault := home_fault(said.home, paths.state, thord_home, is_of_home=named is None):
        layers.faults.append(fault)
    if said.secrets.keys() & found.keys() and (readers := _who_may_read(file)):
        layers.warnings.append(f"{file} holds a key and can be read by {readers}: chmod o-rwx {file}")
    return said


def _who_may_read(file: Path) -> str:
    """Nothing where only its owner and its group may read it."""
    try:
        return "every user of this machine" if file.stat().st_mode & stat.S_IROTH else ""
    except OSError:
        return ""


def _read_toml(file: Path, faults: list[str]) -> Table:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # whoever makes the folders says what is wrong with them
        return {}
    except UnicodeDecodeError as error:
        faults.append(f"{file}: not UTF-8 at byte {error.start}")
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{file}: {_explained(error, file)}")
    except OSError as error:
        faults.append(f"{file}: cannot be read: {error.strerror}")
    return {}


def _explained(error: tomllib.TOMLDecodeError, file: Path) -> str:
    """What is wrong; for a section that occurs twice, also what to do (``thord.toml`` already has every section)."""
    again = re.search(r"Cannot declare \((.*?),?\) twice \(at line (\d+)", str(error))
    if again is None:
        return f"not valid TOML: {error}"
    section = ".".join(re.findall(r"'([^']*)'", again[1]))
    head = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]")
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines, 1) if head.match(line)), 0)
    return (
        f"[{section}] in line {again[2]} repeats line {first}: put its keys there, "
        "or uncomment the existing lines and change their values"
    )


def _put_overrides(layers: _Layers, overrides: Sequence[str]) -> None:
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            layers.faults.append(f"--set {text}: expected section.key=value")
            continue
        layers.put(tuple(key.strip().split(".")), parse(value.strip()), f"--set {text}")


def _choose_profile(given: _Layers) -> tuple[str, str]:
    chosen = given.values.get(("profile",))
    if chosen is None:
        return profiles.for_this_machine()
    return str(chosen.value), f"chosen by {chosen.origin}"


def _for_family(profile: Table, given: _Layers) -> Table:
    """The profile without its ``[model]`` if the user chose another family than the one it was written for."""
    own = profile.get("model")
    meant = own.get("family", "thor") if isinstance(own, dict) else "thor"
    chosen = given.values.get(("model", "family"))
    if chosen is None or chosen.value == meant:
        return profile
    return {section: table for section, table in profile.items() if section != "model"}


def _describe(error: ValidationError, layers: _Layers) -> list[str]:
    faults = []
    for fault in error.errors(include_url=False, include_context=False):
        location = tuple(str(part) for part in fault["loc"])
        key = ".".join(location)
        origin = layers.origin(location)
        if fault["type"] == "extra_forbidden":
            faults.append(f"{origin}: {key}: unknown; {_known_instead(location)}")
        elif fault["type"] == "value_error":
            message = fault["msg"].removeprefix("Value error, ")
            if not isinstance(fault["input"], dict):  # one key's own; that of a combination names its keys
                message = f"{key}: {message}"
            faults.append(f"{_origins_of_combination(location, message, layers) or origin}: {message}")
        else:
            faults.append(f"{origin}: {key} = {json.dumps(fault['input'], default=str)}: {fault['msg']}")
    return faults


def _origins_of_combination(table: Location, message: str, layers: _Layers) -> str:
    """The places that set the keys of ``table`` which a fault of a combination names in its text."""
    origins = []
    for location, entry in layers.values.items():
        key = ".".join(location[len(table) :])
        if location[: len(table)] == table and re.search(rf"\b{re.escape(key)}\b", message):
            origins.append(entry.origin)
    return ", ".join(dict.fromkeys(origins))


def _known_instead(location: Location) -> str:
    """The most similar key, or else all keys known there."""
    model: type[BaseModel] = Tables
    for part in location[:-1]:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            break
        model = field.annotation
    from difflib import get_close_matches  # needed in this case only

    near = get_close_matches(location[-1], model.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(model.model_fields))}"
