"""Upload an exported folder to a Hugging Face hub: ``python -m engine.huggingface.pushing DIR OWNER/NAME MESSAGE``.

The package ``huggingface_hub`` finds the key (``HF_TOKEN``, or what its login has kept) and the hub (``HF_ENDPOINT``).
"""

import argparse
import sys
from pathlib import Path

from engine.foreign_model import ForeignModelError


def push(folder: Path, repository: str, message: str, *, private: bool) -> str:
    """Upload every file in one commit; the address of the repository.

    Raises:
        ForeignModelError: the package is missing, or the hub refused; the message says why.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ForeignModelError("huggingface_hub is not installed: pip install huggingface_hub") from error
    hub = huggingface_hub.HfApi()
    try:
        url = hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(folder_path=folder, repo_id=repository, commit_message=message)
    except Exception as error:  # of the package, and of what it speaks HTTP with
        raise ForeignModelError(f"the hub at {hub.endpoint} did not take {repository}: {error}") from error
    return str(url)


def main() -> int:
    """0 and the address, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Upload an exported model to a Hugging Face hub.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("repository", metavar="OWNER/NAME")
    parser.add_argument("message")
    parser.add_argument("--private", action="store_true")
    options = parser.parse_args()
    try:
        print(push(options.folder, options.repository, options.message, private=options.private))
    except ForeignModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
