"""Each field that a known client may send is obeyed, asks for nothing, or is refused by name; others are named."""

import re
from pathlib import Path

import openai
import pytest

from daemon.workers.server import headers
from daemon.workers.server.api import fields
from daemon.workers.server.api.chat_schemas import ChatBody, ChatMessage
from daemon.workers.server.api.schemas import CompletionBody
from engine.inference.requests import Sampling
from tests.daemon.workers.server.harness import Server, greedy

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
ASKED = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}

REFUSED: list[tuple[str, dict[str, object]]] = [
    ("functions", {"functions": [{"name": "weather"}]}),
    ("function_call", {"function_call": {"name": "weather"}}),
    ("response_format", {"response_format": "nonsense"}),
    ("guided_json", {"guided_json": "{"}),
    ("format", {"format": "json"}),
    ("structural_tag", {"structural_tag": {}}),
    ("suffix", {"suffix": "tail"}),
    ("best_of", {"best_of": 3}),
    ("best_of", {"best_of": 1, "n": 2}),
    ("min_tokens", {"min_tokens": 5, "max_tokens": 3}),
    ("use_beam_search", {"use_beam_search": True}),
    ("prompt_logprobs", {"prompt_logprobs": 1}),
    ("prompt_embeds", {"prompt_embeds": "AAAA"}),
    ("bad_words", {"bad_words": ["a"]}),
    ("allowed_token_ids", {"allowed_token_ids": [9]}),
    ("stop_token_ids", {"stop_token_ids": [99_999]}),
    ("return_token_ids", {"return_token_ids": True}),
    ("reasoning_effort", {"reasoning_effort": "high"}),
    ("modalities", {"modalities": ["text", "audio"]}),
    ("cache_salt", {"cache_salt": "mine"}),
    ("max_tokens", {"max_tokens": -2}),
    ("truncate_prompt_tokens", {"truncate_prompt_tokens": 0}),
    ("n", {"n": 129}),
]
OF_COMPLETIONS: list[tuple[str, dict[str, object]]] = [
    ("tools", {"tools": [TOOL]}),
    ("tool_choice", {"tool_choice": "required"}),
]
OF_CHATS: list[tuple[str, dict[str, object]]] = [
    ("top_logprobs", {"top_logprobs": 2}),
    ("continue_final_message", {"continue_final_message": True, "add_generation_prompt": True}),
    ("chat_template_kwargs.messages", {"chat_template_kwargs": {"messages": []}}),
    ("messages.0.content", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    ("messages.1.prefix", {"messages": [*ASKED, {"role": "assistant", "content": "a", "prefix": True}]}),
]


def test_what_cannot_be_done_is_refused_by_name(steady: Server) -> None:
    with steady.http() as client:
        for path, asked, rows in (
            (COMPLETIONS, {"prompt": "a", "max_tokens": 6}, [*REFUSED, *OF_COMPLETIONS]),
            (CHAT, {"messages": ASKED, "max_tokens": 6}, [*REFUSED, *OF_CHATS]),
        ):
            for field, body in rows:
                answer = client.post(path, json={**asked, **body})
                assert answer.status_code == 400, (path, body, answer.text)
                error = answer.json()["error"]
                assert error["param"] == field, (path, body, error)
                assert field in error["message"]


def test_the_parts_that_a_model_cannot_read_are_named(steady: Server) -> None:
    with steady.http() as client:
        answer = client.post(CHAT, json={"messages": [{"role": "user", "content": [IMAGE]}]})
    assert "'image_url': this model reads text only" in answer.json()["error"]["message"]


HARMLESS: dict[str, object] = {
    "tools": [],
    "tool_choice": "none",
    "response_format": {"type": "text"},
    "suffix": "",
    "best_of": 1,
    "use_beam_search": False,
    "length_penalty": 1.0,
    "skip_special_tokens": True,
    "modalities": ["text"],
    "user": "ann",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "auto",
    "verbosity": "medium",
    "parallel_tool_calls": True,
    "guided_json": None,
}


def test_what_asks_for_nothing_is_no_fault(steady: Server) -> None:
    with steady.http() as client:
        for path, asked in ((COMPLETIONS, {"prompt": "a"}), (CHAT, {"messages": ASKED})):
            answer = client.post(path, json={**asked, **HARMLESS, "max_tokens": 2})
            assert answer.status_code == 200, answer.text
            assert headers.IGNORED_FIELDS not in answer.headers
        tools = client.post(CHAT, json={"messages": ASKED, "tools": [TOOL], "tool_choice": "none", "max_tokens": 2})
        assert tools.status_code == 200, "tools that must not be called"


def test_fields_that_nobody_knows_are_named_in_the_answer(steady: Server) -> None:
    odd = {"temprature": 0, "x\ny": 1, "user": "ann", "chat_template_kwargs": {"enable_thinking": False}}
    said = [{"role": "user", "content": [{"type": "text", "text": "hello", "cache_control": {}}], "mood": "good"}] * 2
    with steady.http() as client:
        answer = client.post(CHAT, json={"messages": said, "max_tokens": 1, **odd})
        refused = client.post(COMPLETIONS, json={"prompt": "a", "temprature": 0, "max_tokens": 1, "n": 0})
        plain = client.post(COMPLETIONS, json={"prompt": "a", "max_tokens": 1})
    assert answer.status_code == 200, answer.text
    named = "messages.content.cache_control, messages.mood, temprature, x?y, chat_template_kwargs.enable_thinking"
    assert answer.headers[headers.IGNORED_FIELDS] == named
    assert refused.status_code == 400
    assert headers.IGNORED_FIELDS not in plain.headers


def test_a_long_list_of_unknown_fields_is_cut() -> None:
    written = headers.ignored_fields(f"{number}" * 100 for number in range(1000))
    assert len(written) < 2000
    assert written.endswith(", ...")


def test_the_documentation_names_every_field() -> None:
    page = (Path(__file__).parents[5] / "docs/serving.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+)`", page))
    known = {*ChatBody.model_fields, *CompletionBody.model_fields, *ChatMessage.model_fields}
    for rules in (fields.REQUEST, fields.MESSAGE):
        known |= {*rules.refused, *rules.neutral}
    assert known <= named, sorted(known - named)


# What is obeyed -------------------------------------------------------------------------------------------------------


def test_a_chat_without_a_limit_runs_to_the_end_of_the_context(steady: Server) -> None:
    client = steady.openai()
    for asked in ({}, {"max_tokens": -1}, {"max_completion_tokens": -1}):
        answer = client.chat.completions.create(
            model="thor", messages=ASKED, temperature=0.0, extra_body={"ignore_eos": True, **asked}
        )
        assert (answer.usage.total_tokens, answer.choices[0].finish_reason) == (192, "length")


def test_a_completion_without_a_limit_has_sixteen_tokens(steady: Server) -> None:
    asked = {"prompt": "The fox", "temperature": 0, "ignore_eos": True}
    with steady.http() as client:
        for more, tokens in (({}, 16), ({"max_completion_tokens": 3}, 3), ({"max_tokens": -1}, None)):
            usage = client.post(COMPLETIONS, json={**asked, **more}).json()["usage"]
            assert usage["completion_tokens"] == (tokens or 192 - usage["prompt_tokens"])


def test_what_a_request_leaves_out_is_as_the_model_is_meant_to_be_sampled() -> None:
    meant = Sampling(temperature=0.6, top_k=1, top_p=0.9, min_p=0.1, repetition_penalty=1.1)
    silent = CompletionBody(prompt="a").sampling(None, meant)
    assert silent == meant
    own = CompletionBody(prompt="a", temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0)
    assert own.sampling(None, meant) == Sampling()


def test_top_p_zero_is_greedy(steady: Server) -> None:
    expected = steady.tokenizer.decode(greedy(steady.load(1), steady.text_prompt("The fox"), 12))
    answer = steady.openai().completions.create(
        model="thor", prompt="The fox", max_tokens=12, top_p=0, temperature=2.0, extra_body={"ignore_eos": True}
    )
    assert answer.choices[0].text == expected


def test_tokens_that_end_an_answer(steady: Server) -> None:
    ids = greedy(steady.load(1), steady.text_prompt("The fox"), 20)
    place = next(n for n in range(6, 20) if ids[n] not in ids[:n])
    asked = {"prompt": "The fox", "temperature": 0, "max_tokens": 20, "ignore_eos": True, "logprobs": 0}
    with steady.http() as client:

        def ask(**more: object) -> dict:
            return client.post(COMPLETIONS, json={**asked, "stop_token_ids": [ids[place]], **more}).json()

        before, whole = (steady.tokenizer.decode(ids[:length]) for length in (place, place + 1))
        found = ask()["choices"][0]
        assert (found["text"], found["finish_reason"]) == (before, "stop")
        assert len(found["logprobs"]["tokens"]) == place
        shown = ask(include_stop_str_in_output=True)["choices"][0]
        assert (shown["text"], len(shown["logprobs"]["tokens"])) == (whole, place + 1)
        later = ask(min_tokens=place + 2)
        assert later["usage"]["completion_tokens"] > place + 2
        stopped = ask(stop_token_ids=[], stop=whole[2:5], include_stop_str_in_output=True)["choices"][0]
        assert stopped["text"] == whole[: whole.index(whole[2:5]) + 3]
        late = ask(stop_token_ids=[], stop=whole[2:5], min_tokens=20)
        assert (late["choices"][0]["finish_reason"], late["usage"]["completion_tokens"]) == ("length", 20)


def test_an_answer_may_not_end_before_its_minimum(steady: Server) -> None:
    """At this temperature one token in fifty ends a text: of 60 answers of 40 tokens hardly one would be whole."""
    answer = steady.openai().completions.create(
        model="thor", prompt="a", n=60, temperature=100, seed=1, max_tokens=40, extra_body={"min_tokens": 40}
    )
    assert answer.usage.completion_tokens == 60 * 40


def test_everything_barred_still_answers(steady: Server) -> None:
    every = list(range(steady.tokenizer.vocabulary))
    body = {"prompt": "a", "stop_token_ids": every, "min_tokens": 3, "max_tokens": 3}
    with steady.http() as client:
        assert client.post(COMPLETIONS, json=body).json()["choices"][0]["finish_reason"] == "stop"


def test_prompts_are_cut_as_asked(steady: Server) -> None:
    long = "fox " * 500
    ids = steady.text_prompt(long)
    with steady.http() as client:
        for path, asked in (
            (COMPLETIONS, {"prompt": long, "echo": True}),
            (COMPLETIONS, {"prompt": ids}),
            (CHAT, {"messages": [{"role": "user", "content": long}]}),
        ):
            for cut, kept in ((5, 5), (-1, 190), (1000, None)):
                answer = client.post(path, json={**asked, "truncate_prompt_tokens": cut, "max_tokens": 2}).json()
                if kept is None:
                    assert answer["error"]["code"] == "context_length_exceeded"
                else:
                    assert answer["usage"]["prompt_tokens"] == kept, (path, answer)


def test_a_text_may_do_without_its_opening(steady: Server) -> None:
    with steady.http() as client:
        for special, more in ((True, 1), (False, 0), (None, 1)):
            body = {"prompt": "The fox", "max_tokens": 1, "add_special_tokens": special}
            usage = client.post(COMPLETIONS, json=body).json()["usage"]
            assert usage["prompt_tokens"] == len(steady.tokenizer.encode("The fox")) + more


def test_the_last_message_can_be_continued(steady: Server) -> None:
    said = [*ASKED, {"role": "assistant", "content": "The quick"}]
    form = {"messages": said, "continue_final_message": True, "add_generation_prompt": False}
    with steady.http() as client:
        ids = client.post("/tokenize", json=form).json()["tokens"]
        assert ids == [*steady.tokenizer.encode_prompt([])[:1], *ids[1:]]
        assert steady.tokenizer.decode(ids).endswith("The quick")
        assert ids[-1] not in steady.tokenizer.specials
        answer = client.post(CHAT, json={**form, "temperature": 0, "max_tokens": 9, "ignore_eos": True}).json()
        closed = client.post("/tokenize", json={"messages": said, "add_generation_prompt": False}).json()["tokens"]
    assert answer["choices"][0]["message"]["content"] == steady.tokenizer.decode(greedy(steady.load(1), ids, 9))
    assert closed[: len(ids)] == ids
    assert len(closed) == len(ids) + 1


def test_calls_in_the_history_are_in_the_prompt(steady: Server) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln", "days": 2}'}}
    said = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "rain"},
    ]
    line = '{"name": "weather", "arguments": {"city": "Köln", "days": 2}}'
    with steady.http() as client:
        ids = client.post("/tokenize", json={"messages": said}).json()["tokens"]
        assert f"{line}\n{line}rain" in steady.tokenizer.decode(ids)
        old = [{"role": "assistant", "content": "so", "function_call": call["function"]}]
        assert f"so\n{line}" in steady.tokenizer.decode(
            client.post("/tokenize", json={"messages": old}).json()["tokens"]
        )


def test_answers_have_what_strict_clients_look_for(steady: Server) -> None:
    asked = {"messages": ASKED, "logprobs": True, "max_tokens": 3}
    with steady.http() as client:
        choice = client.post(CHAT, json=asked).json()["choices"][0]
    assert choice["message"]["refusal"] is None
    assert choice["logprobs"]["refusal"] is None


@pytest.mark.parametrize("along", [False, True])
def test_chunks_count_tokens_as_asked(steady: Server, along: bool) -> None:
    client = steady.openai()
    options = {"include_usage": True, "continuous_usage_stats": along}
    asked = {"model": "thor", "max_tokens": 9, "stream": True, "temperature": 0.0}
    for stream in (
        client.completions.create(prompt="a", stream_options=options, extra_body={"ignore_eos": True}, **asked),
        client.chat.completions.create(
            messages=ASKED, stream_options=options, extra_body={"ignore_eos": True}, **asked
        ),
    ):
        *chunks, last = stream
        assert last.choices == []
        assert last.usage.completion_tokens == 9
        assert all("usage" in chunk.model_fields_set for chunk in chunks)
        counted = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage is not None]
        assert counted == (sorted(counted) if along else [])
        assert not along or counted[-1] == 9


def test_an_overflow_is_what_clients_look_for(steady: Server) -> None:
    """LiteLLM tells it from other errors by these words."""
    with pytest.raises(openai.BadRequestError, match="this model's maximum context length is 192 tokens") as long:
        steady.openai().chat.completions.create(model="thor", messages=[{"role": "user", "content": "fox " * 500}])
    assert long.value.code == "context_length_exceeded"


def test_as_many_texts_as_openai_takes(steady: Server) -> None:
    texts = [f"{number % 40}" for number in range(2048)]
    client = steady.openai().with_options(timeout=170)  # on a machine with other things to do
    found = client.embeddings.create(model="thor", input=texts)
    assert [each.index for each in found.data] == list(range(2048))
    assert found.usage.prompt_tokens == sum(len(steady.text_prompt(text)) for text in texts)
    alone = client.embeddings.create(model="thor", input=texts[39]).data[0].embedding
    for place in (39, 79, 2039):
        assert found.data[place].embedding == pytest.approx(alone, abs=1e-6)
    with steady.http() as http:
        many = http.post("/v1/embeddings", json={"input": [*texts, "a"]}).json()["error"]
        cut = http.post("/v1/embeddings", json={"input": ["fox " * 500], "truncate_prompt_tokens": -1}).json()
        long = http.post("/v1/embeddings", json={"input": ["a", "fox " * 500]}).json()["error"]
    assert many["param"] == "input"
    assert "2048" in many["message"]
    assert cut["usage"]["prompt_tokens"] == 192
    assert (long["code"], long["param"]) == ("context_length_exceeded", "input")
