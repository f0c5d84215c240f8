"""The unmodified ``openai`` package against a real server, and its answers against the weights themselves."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import torch

from daemon.workers.server.api.schemas import CompletionBody
from engine.data.samples import Message as Turn
from tests.daemon.workers.server.harness import SMALL, Server, StartServer, greedy, scores, server_settings

GREEDY = {"temperature": 0.0, "extra_body": {"ignore_eos": True}}
ASKED = [{"role": "user", "content": "hello"}]


def test_a_chat_is_what_the_weights_say(steady: Server) -> None:
    prompt = steady.chat_prompt(Turn("system", "Be brief."), Turn("user", "Hello, fox!"))
    expected = greedy(steady.load(1), prompt, 30)
    answer = steady.openai().chat.completions.create(
        model="thor",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "fox!"}]},
        ],
        max_completion_tokens=30,
        **GREEDY,
    )
    assert answer.choices[0].message.content == steady.tokenizer.decode(expected)
    assert answer.choices[0].finish_reason == "length"
    assert answer.system_fingerprint == "000001"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(prompt), 30)
    assert answer.usage.total_tokens == len(prompt) + 30


def test_a_streamed_chat_has_the_shape_clients_expect(steady: Server) -> None:
    client = steady.openai()
    whole = client.chat.completions.create(model="thor", messages=ASKED, max_tokens=40, **GREEDY)
    stream = client.chat.completions.create(
        model="thor", messages=ASKED, max_tokens=40, stream=True, stream_options={"include_usage": True}, **GREEDY
    )
    assert stream.response.headers["x-thord-version"] == "000001"
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {(chunk.id, chunk.created, chunk.system_fingerprint) for chunk in chunks} == {
        (chunks[0].id, chunks[0].created, "000001")
    }
    *parts, usage = chunks
    assert "".join(part.choices[0].delta.content or "" for part in parts) == whole.choices[0].message.content
    assert [part.choices[0].finish_reason for part in parts if part.choices[0].finish_reason] == ["length"]
    assert parts[-1].choices[0].delta.content is None
    assert usage.choices == []
    assert usage.usage == whole.usage


def test_an_event_is_one_line_also_to_clients_that_know_other_line_ends(steady: Server) -> None:
    text = "a\u2028b\u2029c\x85d"
    body = {"prompt": text, "max_tokens": 1, "echo": True, "stream": True}
    with steady.http() as client, client.stream("POST", "/v1/completions", json=body) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]  # httpx splits as str does
    assert json.loads(events[0])["choices"][0]["text"] == text
    assert events[-1] == "[DONE]"


def test_the_stream_ends_with_done(steady: Server) -> None:
    with steady.http() as client:
        answer = client.post("/v1/completions", json={"prompt": "a", "stream": True, "max_tokens": 3})
    events = [line for line in answer.text.split("\n\n") if line]
    assert all(event.startswith("data: ") for event in events)
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2][6:])["choices"][0]["finish_reason"] in ("length", "stop")


def test_completions_take_texts_ids_and_lists_of_both(steady: Server) -> None:
    client, loaded = steady.openai(), steady.load(1)
    ids = steady.text_prompt("The quick brown")
    expected = steady.tokenizer.decode(greedy(loaded, ids, 12))
    other = steady.tokenizer.decode(greedy(loaded, steady.text_prompt("Der große"), 12))
    for prompt, texts in (
        ("The quick brown", [expected]),
        (ids, [expected]),
        ([ids, ids], [expected, expected]),
        (["The quick brown", "Der große"], [expected, other]),
    ):
        answer = client.completions.create(model="thor", prompt=prompt, max_tokens=12, **GREEDY)
        assert [choice.text for choice in answer.choices] == texts
        assert [choice.index for choice in answer.choices] == list(range(len(texts)))
    echoed = client.completions.create(model="thor", prompt="The quick brown", echo=True, max_tokens=12, **GREEDY)
    assert echoed.choices[0].text == "The quick brown" + expected


def test_scoring_as_lm_evaluation_harness_does_it(steady: Server) -> None:
    """``echo``, one token, one log-probability: arrays of prompt + 1, the first null, floats that compare equal."""
    text = "The quick brown fox jumps über 日本"
    ids = steady.text_prompt(text)
    reference = scores(steady.load(1), ids)
    answer = steady.openai().completions.create(
        model="thor", prompt=text, echo=True, max_tokens=1, logprobs=1, temperature=0.0, seed=1234
    )
    found = answer.choices[0].logprobs
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(ids)  # without BOS, plus 1
    assert found.token_logprobs[0] is None
    expected = [float(reference[place, token]) for place, token in enumerate(ids[1:])]
    assert found.token_logprobs[1:-1] == pytest.approx(expected[1:], abs=1e-4)
    for logprob, top in zip(found.token_logprobs[1:], found.top_logprobs[1:], strict=True):
        assert logprob in top.values()
        assert max(top.values()) >= logprob
    assert found.token_logprobs[-1] == max(found.top_logprobs[-1].values()), "greedy, and it can be seen"
    joined = answer.choices[0].text
    assert found.text_offset[0] == 0
    for place, token in zip(found.text_offset, found.tokens, strict=True):
        if not token.startswith(("bytes:", "<|")):
            assert joined[place:].startswith(token)
    by_ids = steady.openai().completions.create(
        model="thor", prompt=ids, echo=True, max_tokens=1, logprobs=1, temperature=0.0
    )
    assert len(by_ids.choices[0].logprobs.token_logprobs) == len(ids) + 1
    assert by_ids.choices[0].logprobs.token_logprobs[1:-1] == pytest.approx(expected, abs=1e-4)


def test_a_streamed_echo_says_the_same_as_a_whole_one(steady: Server) -> None:
    client = steady.openai()
    asked = {"model": "thor", "prompt": "The fox", "echo": True, "logprobs": 2, "max_tokens": 9, **GREEDY}
    stop = client.completions.create(**asked).choices[0].text[-4:]
    for more in ({}, {"stop": stop}, {"stop": [stop[0], "never seen"]}, {"max_tokens": 0}):
        whole = client.completions.create(**asked | more).choices[0]
        parts = [chunk.choices[0] for chunk in client.completions.create(stream=True, **asked | more)]
        assert "".join(part.text for part in parts) == whole.text
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            joined = [value for part in parts if part.logprobs for value in getattr(part.logprobs, name)]
            assert joined == getattr(whole.logprobs, name)


def test_chat_log_probabilities(steady: Server) -> None:
    answer = steady.openai().chat.completions.create(
        model="thor", messages=ASKED, max_tokens=6, logprobs=True, top_logprobs=3, temperature=0.0
    )
    content = answer.choices[0].logprobs.content
    assert (
        b"".join(bytes(token.bytes) for token in content).decode(errors="replace") == answer.choices[0].message.content
    )
    for token in content:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == token.logprob <= 0


def test_what_a_stop_string_cut_off_has_no_log_probability(steady: Server) -> None:
    def answered(stop: str | None) -> tuple[str, list[bytes]]:
        answer = steady.openai().chat.completions.create(
            model="thor", messages=ASKED, max_tokens=40, logprobs=True, stop=stop, **GREEDY
        )
        (choice,) = answer.choices
        return choice.message.content, [bytes(token.bytes) for token in choice.logprobs.content]

    whole, tokens = answered(None)
    assert answered(whole[0]) == ("", [])
    text, kept = answered(whole[-4:])
    assert text == whole[: whole.index(whole[-4:])]
    assert kept == tokens[: len(kept)]
    assert len(b"".join(kept[:-1]).decode(errors="replace")) < len(text)
    parts = steady.openai().chat.completions.create(
        model="thor", messages=ASKED, max_tokens=40, logprobs=True, stop=whole[-4:], stream=True, **GREEDY
    )
    content = [part.choices[0].logprobs.content for part in parts if part.choices[0].logprobs]
    assert [bytes(token.bytes) for tokens in content for token in tokens] == kept


def test_seeds_repeat_and_choices_differ(steady: Server) -> None:
    client = steady.openai()

    def ask(seed: int) -> list[str]:
        answer = client.chat.completions.create(model="thor", messages=ASKED, n=3, seed=seed, max_tokens=12)
        return [choice.message.content for choice in answer.choices]

    assert ask(1) == ask(1) != ask(2)
    assert len(set(ask(1))) == 3


def test_stop_strings_are_not_shown_streamed_or_not(steady: Server) -> None:
    client = steady.openai()
    asked = {"model": "thor", "prompt": "The fox", "max_tokens": 40, **GREEDY}
    text = client.completions.create(**asked).choices[0].text
    stop = text[11:14]
    expected = text[: text.index(stop)]
    answer = client.completions.create(stop=["never seen", stop], **asked).choices[0]
    assert (answer.text, answer.finish_reason) == (expected, "stop")
    parts = list(client.completions.create(stop=stop, stream=True, **asked))
    assert "".join(part.choices[0].text for part in parts) == expected
    assert parts[-1].choices[0].finish_reason == "stop"


def test_penalties_and_bias_steer(steady: Server) -> None:
    client = steady.openai()
    fox = steady.tokenizer.encode(" fox")
    assert len(fox) == 1
    steered = client.completions.create(
        model="thor", prompt="a", max_tokens=5, temperature=0.0, logit_bias={str(fox[0]): 100}
    )
    assert steered.choices[0].text == " fox" * 5
    varied = client.completions.create(
        model="thor", prompt="a", max_tokens=5, temperature=0.0, logit_bias={str(fox[0]): 1}, frequency_penalty=2.0
    )
    assert varied.choices[0].text.count(" fox") <= 1


def test_fields_beyond_openais_steer_too(steady: Server) -> None:
    """Each leaves only one token to draw, so that what is drawn must be what greedy decoding says."""
    client = steady.openai()
    asked = {"model": "thor", "prompt": "The fox", "max_tokens": 20, "seed": 3}

    def ask(temperature: float, **more: float) -> str:
        body = {"ignore_eos": True, **more}
        return client.completions.create(temperature=temperature, extra_body=body, **asked).choices[0].text

    likeliest = ask(0.0)
    assert ask(2.0) != likeliest
    assert ask(2.0, top_k=1) == ask(2.0, min_p=1.0) == ask(2.0, top_p=1e-6) == likeliest
    assert ask(2.0, top_k=0) == ask(2.0, top_k=-1) == ask(2.0), "no limit"
    assert ask(0.0, repetition_penalty=5.0) != likeliest


def test_a_field_that_is_null_has_its_default(steady: Server) -> None:
    fields = (*CompletionBody.model_fields, "suffix", "user")
    nothing = dict.fromkeys(fields)
    with steady.http() as client:
        answer = client.post("/v1/completions", json={**nothing, "max_tokens": 2})
        assert answer.status_code == 200, answer.text
        streamed = {
            **nothing,
            "prompt": "a",
            "max_tokens": 2,
            "stream": True,
            "stream_options": {"include_usage": None},
        }
        assert client.post("/v1/completions", json=streamed).text.endswith("data: [DONE]\n\n")
        embedded = client.post(
            "/v1/embeddings", json={"input": "a", "encoding_format": None, "dimensions": None}
        ).json()
        assert isinstance(embedded["data"][0]["embedding"], list)


def test_the_answer_is_clipped_to_the_context(steady: Server) -> None:
    answer = steady.openai().completions.create(model="thor", prompt="The fox", max_tokens=100_000, **GREEDY)
    assert answer.usage.total_tokens == 192
    assert answer.choices[0].finish_reason == "length"


def test_models(steady: Server) -> None:
    client = steady.openai()
    assert [model.id for model in client.models.list()] == ["thor", "thor@000001"]
    assert client.models.retrieve("thor@000001").owned_by == "thord"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_errors_are_those_of_the_package(steady: Server) -> None:
    client = steady.openai()
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="thor@000077", messages=ASKED)
    with pytest.raises(openai.BadRequestError, match=r"prompt has \d+ tokens.*context length is 192") as long:
        client.completions.create(model="thor", prompt="fox " * 500)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "prompt")
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="thor", messages=[{"role": "user", "content": "fox " * 500}])
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(openai.BadRequestError) as long:
        client.embeddings.create(model="thor", input="fox " * 500)
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "input")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.completions.create(model="thor", prompt="a", temperature=-1)
    with pytest.raises(openai.BadRequestError, match="token 99999"):
        client.completions.create(model="thor", prompt=[99_999])


def test_a_deadline_of_the_clients_own(steady: Server) -> None:
    body = {"timeout_seconds": 0.001, "ignore_eos": True}
    with pytest.raises(openai.InternalServerError) as late:
        steady.openai().completions.create(model="thor", prompt="a", max_tokens=150, extra_body=body)
    assert (late.value.status_code, late.value.code) == (504, "timeout")
    body["timeout_seconds"] = 60
    steady.openai().completions.create(model="thor", prompt="a", max_tokens=5, extra_body=body)


def test_the_servers_own_deadline(steady: Server) -> None:
    """A client's may only be shorter."""
    asked = {"prompt": "a", "max_tokens": 150, "ignore_eos": True, "timeout_seconds": 60}
    with steady.http() as client:
        try:
            # Over before anything is computed.
            steady.worker.reload(server_settings(api={"request_timeout_seconds": 1e-6}))
            wait_until(lambda: client.post("/v1/completions", json=asked).status_code == 504)
            streamed = client.post("/v1/completions", json={**asked, "stream": True})
            assert (streamed.status_code, streamed.json()["error"]["code"]) == (504, "timeout")
        finally:
            steady.worker.reload(server_settings())
            wait_until(lambda: client.post("/v1/completions", json=asked).status_code == 200)


def test_embeddings(steady: Server) -> None:
    """The package asks for base64 by itself; a plain client for floats. Both are the mean of the hidden states."""
    texts = ["The quick brown fox", "日本語 " * 30]
    loaded = steady.load(1)
    found = steady.openai().embeddings.create(model="thor", input=texts)
    with steady.http() as client:
        ids = [steady.text_prompt(text) for text in texts]
        plain = client.post("/v1/embeddings", json={"input": ids}).json()
    for index, text in enumerate(texts):
        tokens = torch.tensor([steady.text_prompt(text)])
        with torch.inference_mode():
            hidden = loaded.model.hidden(tokens, torch.arange(tokens.shape[1])[None], torch.zeros_like(tokens))
        expected = torch.nn.functional.normalize(hidden[0].mean(0), dim=0).tolist()
        assert found.data[index].embedding == pytest.approx(expected, abs=1e-5)
        assert plain["data"][index]["embedding"] == pytest.approx(expected, abs=1e-5)
        assert found.data[index].index == index
    assert found.usage.prompt_tokens == found.usage.total_tokens == sum(len(prompt) for prompt in ids)
    with pytest.raises(openai.BadRequestError, match="64 dimensions"):
        steady.openai().embeddings.create(model="thor", input="a", dimensions=3)
    with pytest.raises(openai.BadRequestError, match="context length is 192"):
        steady.openai().embeddings.create(model="thor", input="fox " * 500)


def test_the_package_tries_again_while_the_queue_is_full(start_server: StartServer) -> None:
    """Eight rows and eight places are taken: 429 with Retry-After, which the package obeys until there is room."""
    server = start_server(versions=0, settings=server_settings(inference={"max_queue": 8}))
    server.publish(1, SMALL.model_copy(update={"context": 2048}))
    server.promote(1)
    long = {"model": "thor", "prompt": "a", "n": 8, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
    with server.http() as client:

        def figures() -> str:
            return client.get("/metrics").text

        with server.openai().completions.create(stream=True, **long) as first:
            next(first)
            with ThreadPoolExecutor() as pool:
                second = pool.submit(server.openai().completions.create, **long)
                wait_until(lambda: "thord_server_waiting_sequences 8" in figures())
                answer = server.openai(retries=20).completions.create(model="thor", prompt="a", max_tokens=1)
                assert len(second.result().choices) == 8
        assert answer.choices[0].finish_reason == "length"
        assert 'thord_server_refused_total{reason="queue_full"}' in figures()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
