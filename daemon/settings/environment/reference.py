"""Writes ``docs/environment.md`` and ``.env.example`` from the table.

``python -m daemon.settings.environment.reference docs/environment.md`` or ``... .env.example`` prints that file's text.
"""

import json
import sys

from pydantic import BaseModel

from daemon.settings.environment.variables import VARIABLES, Variable
from daemon.settings.sections import Tables

_HEAD = """\
# Environment variables

The tables of this page are generated from the code by `make docs`.

Every [setting](settings.md) can be given as a variable: `THORD__SECTION__KEY=value`, such as
`THORD__TRAINING__LEARNING_RATE=1e-4`. What was set up for Model Trainer goes on working as well: thord understands the
variables below, and warns about others that begin with `REDIS__`, `RQ__`, `APP__`, `LOGGING__`, `SECURITY__` or
`WANDB__`. A variable that is not set, or is empty, leaves thord at its own default.

## Who wins

Later ones win: the defaults, the profile, `thord.toml`, the file `.env`, the environment, `--set`. `thorctl config`
shows for each setting that is not at its default which of these set it:

<!-- run by tests/daemon/settings/environment/test_environment_page.py -->
```sh
LOGGING__LEVEL=DEBUG thorctl config | grep log_level
thorctl config check
```

Two variables that set the same setting to different values are an error that names both, if both are in the environment
or both are in the file. thord then does not start.

## The file `.env`

thord reads the file `.env` beside `thord.toml`, or the one that `--env-file FILE` names (`thord` and `thorctl start`
have this option; `make start` uses a `.env` in the checkout). It never overrides a variable of the real environment.
`.env.example` in the checkout has every variable.

Each line is `NAME=value`, empty, or a comment that begins with `#`. A value may be in single or double quotes;
`${OTHER}` is not replaced, and is an error where it is not in single quotes. Variables that are not thord's own, such
as `HF_TOKEN`, are passed on to the libraries that read them. `thorctl reload` reads the file again.

## The API key

With `SECURITY__API_KEY` set, clients of the public API must send the key, as `Authorization: Bearer KEY` or
`X-Api-Key: KEY`; only `/healthz`, `/readyz` and `/metrics` answer without. It is one more key beside those of
`api.keys_file`, and may read, generate and train. thord keeps only its SHA-256, in a file that only its own user may
read; the key is neither logged nor shown, and workers do not inherit it. A `.env` with a key that every user of the
machine may read is warned about. `SECURITY__API_KEY_FILE`, `APP__DATA_BANK_API_KEY_FILE` and `REDIS__URL_FILE` name
files that hold the value instead.
"""


def markdown() -> str:
    """The page of the variables."""
    lines = [_HEAD, "## The variables", "", "| variable | sets | default | what it does |", "|---|---|---|---|"]
    lines += [f"| `{each.name}` | {_sets(each)} | {_default(each)} | {each.what} |" for each in VARIABLES]
    return "\n".join(lines) + "\n"


def example() -> str:
    """``.env.example``: every variable, commented out."""
    lines = [
        "# Variables of the environment that thord understands; docs/environment.md explains them. Copy this file to",
        "# .env and remove the # from a line to set it. The real environment wins over this file.",
    ]
    for each in VARIABLES:
        lines += ["", f"# {each.what.replace('`', '')}", f"#{each.name}="]
    return "\n".join(lines) + "\n"


def _sets(variable: Variable) -> str:
    if variable.settings:
        return ", ".join(f"`{key}`" for key in variable.settings)
    return {"home": "the home", "secret": "a key", "inherited": "read by the library", "exposure": "a check"}[
        variable.use
    ]


def _default(variable: Variable) -> str:
    if not variable.settings:
        return ""
    value: object = Tables()
    for part in variable.settings[0].split("."):
        value = getattr(value, part, None) if isinstance(value, BaseModel) else None
    return "" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown() if sys.argv[1:] == ["docs/environment.md"] else example(), end="")
