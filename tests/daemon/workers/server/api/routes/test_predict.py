"""Routes beside OpenAI's: scores, predictions, tokens; their answers against the weights themselves."""

import math

import jinja2
import pytest

from engine.data.samples import Message as Turn
from engine.tokenizers.base import BOS, EOS, PAD
from tests.daemon.workers.server.harness import Server, greedy, scores

ASKED = [{"role": "user", "content": "hello"}]


def test_score(steady: Server) -> None:
    text = "The quick brown fox"
    ids = steady.text_prompt(text)
    reference = scores(steady.load(1), ids)
    expected = [-float(reference[place, token]) for place, token in enumerate(ids[1:])]
    with steady.http() as client:
        found = client.post("/v1/score", json={"text": text, "top_k": 2}).json()
    assert found["surprisal"] == pytest.approx(expected, abs=1e-4)
    assert found["loss"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["bits_per_byte"] == pytest.approx(sum(expected) / math.log(2) / len(text), abs=1e-4)
    assert "".join(found["tokens"]) == text
    assert [len(top) for top in found["topk"]] == [2] * len(expected)
    assert found["version"] == "000001"


def test_predict(steady: Server) -> None:
    prompt = steady.text_prompt("The quick")
    with steady.local() as client:
        found = client.post("/predict", json={"task": "text_generation", "input": "The quick", "max_tokens": 1}).json()
        chat = client.post("/predict", json={"task": "chat", "input": "hello"})
        wrong = client.post("/predict", json={"task": "sentiment", "input": "x"})
    assert found["generated_text"] == steady.tokenizer.decode(greedy(steady.load(1), prompt, 1))
    assert chat.headers["x-thord-version"] == chat.json()["version"] == "000001"
    assert (found["outputs"], found["steps"], found["eos_terminated"]) == ([found["generated_text"]], 1, [False])
    assert wrong.status_code == 400
    assert "text_generation, chat" in wrong.json()["error"]["message"]


def test_predict_draws_several_texts_as_it_is_told(steady: Server) -> None:
    """The fields of other trainers' generate requests; the same draws as of a completion with the same seed."""
    drawn = {"temperature": 0.8, "top_k": 50, "top_p": 0.95, "seed": 7}
    with steady.http() as client:

        def predict(**fields: object) -> dict:
            answer = client.post("/predict", json={"task": "text_generation", "input": "The quick", **fields})
            assert answer.status_code == 200, answer.text
            return answer.json()

        several = predict(**drawn, max_new_tokens=12, num_return_sequences=3)
        same = client.post(
            "/v1/completions", json={"prompt": "The quick", **drawn, "max_tokens": 12, "n": 3, "ignore_eos": False}
        ).json()
        assert several["outputs"] == [choice["text"] for choice in same["choices"]]
        assert len(set(several["outputs"])) > 1
        whole = predict(max_new_tokens=60, stop_on_eos=False)
        assert (whole["steps"], whole["eos_terminated"], whole["finish_reason"]) == (60, [False], "length")
        ending = whole["generated_text"][8:12]
        cut = predict(max_new_tokens=60, stop_on_eos=False, stop_sequences=[ending])
        assert cut["generated_text"] == whole["generated_text"].partition(ending)[0]
        assert (cut["finish_reason"], cut["eos_terminated"]) == ("stop", [False])
        assert (
            client.post("/predict", json={"task": "chat", "input": "x", "num_return_sequences": 11}).status_code == 400
        )


def test_a_text_that_ends_by_itself_says_so(steady: Server) -> None:
    """The first seed whose draw ends before it must."""
    with steady.http() as client:
        for seed in range(200):
            asked = {"task": "text_generation", "input": "a", "temperature": 3.0, "seed": seed, "max_tokens": 100}
            found = client.post("/predict", json=asked).json()
            assert found["eos_terminated"] == [found["finish_reason"] == "stop"]
            if found["eos_terminated"] == [True]:
                return
    pytest.fail("no answer ended")


def test_tokens_can_be_counted_made_and_undone(steady: Server) -> None:
    text = "Zwölf Boxkämpfer <|eos|> 日本"
    ids = steady.tokenizer.encode(text)
    with steady.http() as client:
        whole = client.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
        assert whole["tokens"] == steady.text_prompt(text)
        assert (whole["count"], whole["max_model_len"]) == (len(ids) + 1, 192)
        assert whole["token_strs"][0] == BOS
        bare = client.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()["tokens"]
        assert bare == ids
        assert client.post("/detokenize", json={"tokens": bare}).json() == {"prompt": text}
        chat = client.post("/tokenize", json={"messages": ASKED}).json()["tokens"]
        assert chat == steady.chat_prompt(Turn("user", "hello"))
        info = client.get("/tokenizer_info").json()
        for name, token in (("bos_token", BOS), ("eos_token", EOS), ("pad_token", PAD)):
            answer = client.post("/tokenize", json={"prompt": info[name], "add_special_tokens": False}).json()
            assert answer["tokens"] == [steady.tokenizer.special(token)]
        turns = [{"role": "system", "content": "Be brief."}, *ASKED, {"role": "assistant", "content": "Hi."}, *ASKED]
        asked = {"messages": turns, "return_token_strs": True}
        rendered = jinja2.Template(info["chat_template"]).render(messages=turns, add_generation_prompt=True)
        assert "".join(client.post("/tokenize", json=asked).json()["token_strs"]) == rendered
        assert client.post("/detokenize", json={"tokens": [10_000]}).status_code == 400
        assert client.post("/tokenize", json={}).status_code == 400
