"""What is said of a foreign model is one line, and why an export did not come about is said by its process."""

import pytest

from engine.artifacts import ArtifactError
from engine.foreign_model import ForeignModelError, export_status


def test_what_a_damaged_file_holds_stays_on_the_line_and_off_the_terminal() -> None:
    said = str(ForeignModelError("odd.gguf: llama.a\n\x1b[2Jb\x80 is something else, été 模型"))
    assert said == "odd.gguf: llama.a\ufffd\ufffd[2Jb\ufffd is something else, été 模型"


@pytest.mark.parametrize(
    "refusal", [ForeignModelError("out exists already"), ArtifactError("damaged"), OSError("full")]
)
def test_an_export_that_is_refused_says_why(refusal: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise refusal

    assert export_status(write) == 1
    assert capsys.readouterr() == ("", f"{refusal}\n")
