"""Measure a file of predictions against a file of references; the figures are printed as JSON.

python -m engine.evaluation.predictions PREDICTIONS REFERENCES [--measure NAME...] [--label NAME...] [--encoder FOLDER]
"""

import argparse
import json
import sys
from pathlib import Path

from engine.evaluation.predictions.files import BadRecordsError
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.report import compare

_USAGE, _NOT_FOUND = 2, 5


def main() -> int:
    """0; 2 and the reason on standard error where the files or the options are wrong; 5 where a file is missing."""
    parser = argparse.ArgumentParser(description="Measure predictions against references.")
    parser.add_argument("predictions", type=Path)
    parser.add_argument("references", type=Path)
    parser.add_argument("--measure", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--label", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--encoder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    try:
        report = compare(options.predictions, options.references, options.measure, options.label, options.encoder)
    except FileNotFoundError as error:
        print(f"{error.filename} does not exist", file=sys.stderr)
        return _NOT_FOUND
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except (BadRecordsError, UnmeasurableError) as error:
        print(error, file=sys.stderr)
        return _USAGE
    print(json.dumps(report.as_json(), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
