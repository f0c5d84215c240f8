"""``text_offset``: each token of an answer is found in its text at the place that is given for it."""

from collections.abc import Callable, Iterator

import pytest

from engine.tokenizers.base import Tokenizer
from tests.daemon.workers.server.conftest import listening, starter
from tests.daemon.workers.server.harness import Server, Worker
from tests.foreign import MISTRAL, made, spaced


@pytest.fixture(scope="module")
def imported() -> Tokenizer:
    """SentencePiece-like: it puts a space before every text, and leaves it out again."""
    return made(spaced(["<unk>", "<s>", "</s>"]), MISTRAL, "</s>", "</s>", "<s>")[0]


@pytest.fixture(scope="module")
def importer(
    imported: Tokenizer,
    spawn_worker_for_module: Callable[..., Worker],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server of a version with that tokenizer."""
    home = tmp_path_factory.mktemp("imported")
    with listening(home) as sockets:
        yield starter(spawn_worker_for_module, home, imported, sockets)()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["the cat", " the cat", "x", "日 the"])
def test_tokens_are_where_their_offsets_say(importer: Server, prompt: str, stream: bool) -> None:
    answer = importer.openai().completions.create(
        model="thor", prompt=prompt, echo=True, logprobs=0, max_tokens=12, temperature=0.0, stream=stream
    )
    parts = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
    text = "".join(part.text for part in parts)
    places = [place for part in parts if part.logprobs for place in part.logprobs.text_offset]
    tokens = [token for part in parts if part.logprobs for token in part.logprobs.tokens]
    assert text.startswith(prompt)
    assert len(tokens) > 12
    first, *others = zip(places, tokens, strict=True)
    assert first[0] == 0
    assert text.startswith(first[1].removeprefix(" "))
    for place, token in others:
        if not token.startswith("bytes:"):
            assert text.startswith(token, place), (place, token, text)


def test_a_stop_string_behind_half_a_character_is_cut_off_too(importer: Server) -> None:
    half, letter = (importer.tokenizer.encode(text)[1] for text in "éh")
    answer = importer.openai().completions.create(
        model="thor",
        prompt="a",
        logprobs=0,
        temperature=0.0,
        logit_bias={str(half): 100, str(letter): 99},
        presence_penalty=2,  # first the one, then the other
        stop="h",
    )
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason, answer.usage.completion_tokens) == ("�", "stop", 2)
    assert choice.logprobs.tokens == ["bytes:\\xc3"]


def test_the_answer_to_a_prompt_that_ends_within_a_character_begins_after_it(importer: Server) -> None:
    prompt = importer.tokenizer.encode("x é")[1:-1]
    answer = importer.openai().completions.create(
        model="thor", prompt=prompt, echo=True, logprobs=0, max_tokens=1, temperature=0.0
    )
    (choice,) = answer.choices
    assert choice.logprobs.text_offset[-1] == len("x �")
