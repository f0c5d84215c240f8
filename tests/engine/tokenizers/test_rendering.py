"""A sample as a model sees it: special tokens by name, and exactly the answers marked as learned."""

from engine.data.samples import Dialogue, Message, Text
from engine.tokenizers.bytes import ByteTokenizer
from engine.tokenizers.rendering import Run, render

MOST = 1000


def test_the_answers_that_count_are_learned_and_nothing_else() -> None:
    dialogue = Dialogue(
        (
            Message("system", "Be brief."),
            Message("user", "Grüße?"),
            Message("assistant", "a draft", weight=0),
            Message("user", "Again."),
            Message("assistant", "Hello."),
        )
    )
    assert render(ByteTokenizer(), dialogue, MOST) == [
        Run(
            "<|bos|><|system|>Be brief.<|end|><|user|>Grüße?<|end|><|assistant|>a draft<|end|>"
            "<|user|>Again.<|end|><|assistant|>",
            supervised=False,
        ),
        Run("Hello.<|end|>", supervised=True),
    ]


def test_of_a_text_everything_is_learned_but_its_opening() -> None:
    runs = render(ByteTokenizer(), Text("It spells <|end|> itself."), MOST)
    assert runs == [Run("<|bos|>", supervised=False), Run("It spells <|end|> itself.<|eos|>", supervised=True)]


def test_only_the_beginning_of_a_long_one_is_rendered() -> None:
    assert render(ByteTokenizer(), Text("abcdef"), 3) == [Run("<|bos|>", supervised=False), Run("ab", supervised=True)]
