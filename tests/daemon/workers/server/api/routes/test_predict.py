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


def test_a_batch_of_classes_is_scored_as_candidates_are(steady: Server) -> None:
    texts = ["The quick brown fox", "hello"]
    labels = ["glad", "sad"]
    with steady.local() as client:

        def predict(**fields: object) -> dict:
            answer = client.post("/predict", json={"task": "intent_detection", "labels": labels, **fields})
            assert answer.status_code == 200, answer.text
            return answer.json()

        together = predict(input=texts)
        alone = [predict(input=text) for text in texts]
    assert (together["task"], together["version"]) == ("intent_detection", "000001")
    for found, single in zip(together["predictions"], alone, strict=True):
        assert found["predicted_class"] == single["predicted_class"] == next(iter(found["probabilities"]))
        assert found["probabilities"] == pytest.approx(single["probabilities"], abs=1e-5)
        assert sum(found["probabilities"].values()) == pytest.approx(1)
    model = steady.load(1)
    question = Turn("user", "hello\n\nWhat does this person want: glad, sad?")
    expected = {}
    for label in labels:
        prompt, ids = steady.tokenizer.encode_prompt([question]), steady.tokenizer.encode(label)
        rows = scores(model, [*prompt, *ids])[len(prompt) - 1 :]
        expected[label] = sum(float(row[token]) for row, token in zip(rows, ids, strict=False))
    odds = alone[1]["probabilities"]["glad"] / alone[1]["probabilities"]["sad"]
    assert math.log(odds) == pytest.approx(expected["glad"] - expected["sad"], abs=1e-3)


@pytest.mark.parametrize("task", ["intent_detection", "chat", "named_entity_recognition"])
def test_one_bad_text_of_a_batch_is_named_and_the_others_are_answered(steady: Server, task: str) -> None:
    asked: dict[str, object] = {"task": task, "input": ["hello", " ", "hello"]}
    if task == "intent_detection":
        asked["labels"] = ["glad", "sad"]
    if task == "chat":
        asked["max_tokens"] = 1
    with steady.local() as client:
        answer = client.post("/predict", json=asked)
        single = client.post("/predict", json={**asked, "input": " "})
        none = client.post("/predict", json={**asked, "input": [" ", ""]}).json()["predictions"]
    assert answer.status_code == 200, answer.text
    first, bad, last = answer.json()["predictions"]
    assert bad == {"task": task, "error": {"message": "the input is empty", "param": "input"}}
    assert "error" not in first
    assert {**first, "probabilities": None} == {**last, "probabilities": None}
    assert none == [bad, bad]
    assert (single.status_code, single.json()["error"]["param"]) == (400, "input")


def test_spans_come_with_offsets_into_the_text(steady: Server) -> None:
    text = "\U0001f600 The quick fox."
    with steady.local() as client:
        tagged = client.post("/predict", json={"task": "named_entity_recognition", "input": [text, "hello"]}).json()
        asked = {"task": "question_answering", "input": "Who?", "text_pair": text}
        found = client.post("/predict", json=asked).json()
    first = tagged["predictions"][0]
    assert [word["text"] for word in first["tags"]] == ["\U0001f600", "The", "quick", "fox", "."]
    for span in (*first["spans"], *first["tags"], *found["spans"]):
        assert text[span["start"] : span["end"]] == span["text"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": "sentiment_analysis", "temperature": 0.5}, "temperature"),
        ({"task": "intent_detection"}, "labels"),
        ({"task": "question_answering"}, "text_pair"),
        ({"task": "question_answering", "text_pair": ["a", "b"]}, "text_pair"),
        ({"task": "chat", "candidates": ["a", "b"]}, "candidates"),
    ],
)
def test_what_a_task_does_not_answer_is_a_400_that_names_it(steady: Server, fields: dict, param: str) -> None:
    with steady.local() as client:
        answer = client.post("/predict", json={"input": "hello", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


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
