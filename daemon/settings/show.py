"""Print the settings that thord would run with, as JSON; thorctl uses this while thord is not running.

python -m daemon.settings.show [--home DIR]
"""

import argparse
import json
import sys

from control.paths import find
from daemon.settings.load import SettingsError, load
from daemon.settings.secrets import masked


def main() -> int:
    """Print ``{"settings", "profile", "why", "origins", "warnings"}``; 2 and every fault where a setting is wrong."""
    parser = argparse.ArgumentParser(description="Print the settings a thord would run with, as JSON.")
    parser.add_argument("--home", metavar="DIR", help="where thord.toml is")
    try:
        loaded = load(find(parser.parse_args().home))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    told = {
        "profile": loaded.profile,
        "why": loaded.why,
        "origins": dict(loaded.origins),
        "warnings": loaded.warnings,
    }
    print(json.dumps({"settings": masked(loaded.tables.model_dump(mode="json")), **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
