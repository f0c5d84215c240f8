"""A version that is kept is asked by its pinned name, whether or not it is in memory."""

import openai
import pytest

from daemon.messages import Abandon
from tests.daemon.workers.server.harness import Server, greedy


def test_a_kept_version_is_loaded_when_it_is_asked(server: Server) -> None:
    client, prompt = server.openai(), server.text_prompt("The quick")
    before = client.completions.create(model="thor", prompt="The quick", max_tokens=8, temperature=0)
    for number in (5, 6):  # one guest at a time: the second takes the place of the first
        server.publish(number)
        name = f"thor@{number:06d}"
        found = client.completions.create(model=name, prompt="The quick", max_tokens=8, temperature=0)
        expected = server.tokenizer.decode(greedy(server.load(number), prompt, 8))
        assert found.choices[0].text == expected
        chat = client.chat.completions.with_raw_response.create(
            model=name, messages=[{"role": "user", "content": "Hi"}], max_tokens=4
        )
        assert chat.headers["x-thord-version"] == f"{number:06d}"
        assert client.models.retrieve(name).model_extra["version"] == f"{number:06d}"
        assert client.embeddings.create(model=name, input="Hi").data
    after = client.completions.create(model="thor", prompt="The quick", max_tokens=8, temperature=0)
    assert after.choices[0].text == before.choices[0].text
    assert [model.id for model in client.models.list()] == ["thor", "thor@000001"], "a guest is no part of the list"


def test_what_cannot_be_loaded_says_so_and_disturbs_nothing(server: Server) -> None:
    client = server.openai()
    (server.publish(7) / "model.safetensors").write_bytes(b"damaged")
    for name, says in (
        ("thor@000007", "000007"),
        ("thor@000099", "not in memory"),
        ("thor@999999999", "not in memory"),
    ):
        with pytest.raises(openai.NotFoundError, match=says) as missing:
            client.completions.create(model=name, prompt="a", max_tokens=2)
        assert missing.value.code == "model_not_found"
    assert client.completions.create(model="thor", prompt="a", max_tokens=2).choices[0].text is not None


def test_a_guest_whose_weights_are_removed_answers_no_more(server: Server) -> None:
    client = server.openai()
    folder = server.publish(5)
    client.completions.create(model="thor@000005", prompt="a", max_tokens=2)
    (folder / "model.safetensors").unlink()  # what it learned is forgotten
    server.worker.send(Abandon(version=5))
    answers = (client.completions.create(model="thor@000005", prompt="a", max_tokens=2) for _ in range(100))
    with pytest.raises(openai.NotFoundError):
        list(answers)
