"""The main job, step by step: a model that talks, something new while answers flow, both asked for again, stop.

Run by ``make demo``. Everything goes through ``thorctl`` and the public API, as a user's would. The starter model is
kept in the user's cache; where it cannot be fetched, or with ``--from-scratch``, a model is trained from nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import from_scratch, on_a_starter
from demo.stage import Stage


def main(arguments: list[str]) -> int:
    """Run the demonstration; 0 when everything it claims was seen to happen."""
    home = Path(tempfile.mkdtemp(prefix="thord-demo-"))
    stage = Stage(home)
    try:
        status = from_scratch.run(stage) if "--from-scratch" in arguments else _run(stage)
    except BaseException as error:  # Ctrl-C too: no thord goes on alone
        stage.stop_at_once()
        if not isinstance(error, subprocess.CalledProcessError):
            raise
        print(f"demo: thorctl ended with status {error.returncode}; logs are in {home / 'logs'}", file=sys.stderr)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return status


def _run(stage: Stage) -> int:
    stage.say("The service starts, and a small model that talks is fetched, or taken from the cache")
    stage.start()
    error = stage.failure("import", "starter", "--promote")
    if error is None:
        return on_a_starter.run(stage)
    print(f"  {error.get('message')}")
    if error.get("code") != "not_fetched":
        raise subprocess.CalledProcessError(1, "import starter")
    print("  The starter model cannot be fetched here, so this shows the way from scratch.")
    stage.thorctl("stop")
    return from_scratch.run(stage)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
