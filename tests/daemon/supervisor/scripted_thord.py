"""The real command ``thord`` with scripted workers: ``scripted_thord.py NAME=BEHAVIOUR[,ARGUMENT]... -- ARGUMENTS``."""

import dataclasses
import sys
from pathlib import Path

from daemon.supervisor.main import main
from daemon.supervisor.processes.roles import ROLES

if __name__ == "__main__":
    split = sys.argv.index("--")
    behaviours = dict(word.split("=", 1) for word in sys.argv[1:split])
    script = str(Path(__file__).with_name("scripted_worker.py"))
    roles = {
        name: dataclasses.replace(
            role,
            argv=(sys.executable, "-P", script, *behaviours.get(name, "idle").split(",")),
            nice=0,
            gives_way=False,
        )
        for name, role in ROLES.items()
    }
    sys.exit(main(sys.argv[split + 1 :], roles))
