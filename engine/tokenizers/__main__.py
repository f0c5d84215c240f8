"""Train a tokenizer, or look at one, without a thord; what is found is printed as JSON.

python -m engine.tokenizers train OUT FILE...   learn from conversations and texts of any shape thord knows, and
                                                publish OUT/tokenizer.json with OUT/manifest.json
python -m engine.tokenizers show FOLDER         describe a tokenizer, or that of a version
"""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.tokenizers import publish


def main() -> int:
    """0, or 1 (2 for wrong settings) and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Train a tokenizer, or look at one.")
    commands = parser.add_subparsers(dest="command", required=True)
    learn = commands.add_parser("train")
    learn.add_argument("target", type=Path, metavar="OUT")
    learn.add_argument("sources", type=Path, nargs="+", metavar="FILE")
    learn.add_argument("--settings", default="{}", metavar="JSON", help="keys of [tokenizer]")
    look = commands.add_parser("show")
    look.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    try:
        if options.command == "show":
            print(json.dumps(publish.show(options.folder), ensure_ascii=False))
        else:
            settings = TokenizerSettings.model_validate_json(options.settings)
            manifest = publish.publish(options.target, options.sources, settings)
            print(manifest.model_dump_json(include={"kind", "vocabulary"}))
    except ValidationError as error:
        print("; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()), file=sys.stderr)
        return 2
    except (ArtifactError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
