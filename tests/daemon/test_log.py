"""What a process writes into its log, as others read it."""

import json
import subprocess
import sys

PROGRAM = """
import math, sys
from pathlib import Path
from daemon import log
from daemon.settings.sections import SupervisionSettings

log.configure("trainer", Path(sys.argv[1]), SupervisionSettings())
log.get("one").warning("bad step", loss=math.nan, gradient_norm=math.inf, step=3, validation_loss=2.5)
"""


def test_a_number_that_json_has_no_word_for_is_null(tmp_path):
    def refuse(word):
        raise ValueError(word)

    file = tmp_path / "trainer.log"
    subprocess.run([sys.executable, "-c", PROGRAM, str(file)], check=True)
    [line] = [json.loads(line, parse_constant=refuse) for line in file.read_text().splitlines()]
    assert (line["loss"], line["gradient_norm"], line["step"], line["validation_loss"]) == (None, None, 3, 2.5)
