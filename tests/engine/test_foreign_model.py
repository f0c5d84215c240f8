"""What is said of a foreign model is one line."""

from engine.foreign_model import ForeignModelError


def test_what_a_damaged_file_holds_stays_on_the_line_and_off_the_terminal() -> None:
    said = str(ForeignModelError("odd.gguf: llama.a\n\x1b[2Jb\x80 is something else, été 模型"))
    assert said == "odd.gguf: llama.a\ufffd\ufffd[2Jb\ufffd is something else, été 模型"
