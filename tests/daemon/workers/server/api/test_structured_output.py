"""Structured output through the API: whole and streamed, with each of the fields that ask for it."""

import json
import re

import openai
import pydantic
import pytest

from tests.daemon.workers.server.api.conftest import InProcess

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ASKED = [{"role": "user", "content": "hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"animal": {"enum": ["fox", "dog", "日本"]}, "old": {"type": "boolean"}},
    "required": ["animal", "old"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "pet", "strict": True, "schema": SCHEMA}}
NAMED = {"type": "json_schema", "json_schema": {"name": "pet", "schema": SCHEMA}}
PET = r'\{"animal": "(fox|dog|日本)", "old": (true|false)\}'


class Pet(pydantic.BaseModel):
    """What a program asks for."""

    animal: str = pydantic.Field(max_length=4)
    old: bool | None
    legs: int = pydantic.Field(ge=0, le=4)


ASKS: list[tuple[dict[str, object], str]] = [
    ({"response_format": FORMAT}, PET),
    ({"response_format": NAMED}, PET),
    ({"response_format": {"type": "json_object", "schema": SCHEMA}}, PET),
    ({"guided_json": SCHEMA}, PET),
    ({"guided_json": json.dumps(SCHEMA)}, PET),
    ({"json_schema": SCHEMA}, PET),
    ({"structured_outputs": {"json": SCHEMA, "disable_any_whitespace": True}}, PET),
    ({"guided_regex": "[ab]{3,5}!"}, "[ab]{3,5}!"),
    ({"regex": "[ab]{3,5}!"}, "[ab]{3,5}!"),
    ({"structured_outputs": {"regex": "[ab]{3,5}!"}}, "[ab]{3,5}!"),
    ({"guided_choice": ["yes", "no"]}, "yes|no"),
    ({"structured_outputs": {"choice": ["yes", "no"]}}, "yes|no"),
    ({"guided_grammar": 'root ::= "ja" | "nein"'}, "ja|nein"),
    ({"grammar": 'start: "ja" | "nein"'}, "ja|nein"),
    ({"ebnf": 'root ::= "ja" | "nein"'}, "ja|nein"),
    ({"structured_outputs": {"grammar": 'root ::= "ja" | "nein"'}}, "ja|nein"),
]


@pytest.mark.anyio
async def test_each_field_is_obeyed_whole_and_streamed(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for path, asked in ((CHAT, {"messages": ASKED}), (COMPLETIONS, {"prompt": "hello"})):
            for body, pattern in ASKS if path == CHAT else ASKS[::5]:
                given = {**asked, **body, "max_tokens": 200, "seed": 3}
                answer = await client.post(path, json=given)
                assert answer.status_code == 200, (body, answer.text)
                assert "x-thord-ignored-fields" not in answer.headers
                choice = answer.json()["choices"][0]
                text = choice["text"] if path == COMPLETIONS else choice["message"]["content"]
                assert re.fullmatch(pattern, text), (body, text)
                assert choice["finish_reason"] == "stop"
                if (body, pattern) in ASKS[::5]:
                    streamed = await client.post(path, json={**given, "stream": True})
                    assert said(streamed.text) == text


def said(events: str) -> str:
    """The text of a stream."""
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


@pytest.mark.anyio
async def test_openais_own_package_parses_answers(in_process: InProcess) -> None:
    async with in_process.openai() as client:
        answer = await client.chat.completions.parse(model="thor", messages=ASKED, response_format=Pet, n=3)
        pets = [choice.message.parsed for choice in answer.choices]
        assert all(isinstance(pet, Pet) for pet in pets)
        anything = await client.chat.completions.create(
            model="thor", messages=ASKED, response_format={"type": "json_object"}, max_tokens=4, temperature=0
        )
        assert anything.choices[0].message.content.startswith("{")
        with pytest.raises(openai.LengthFinishReasonError):
            await client.chat.completions.parse(model="thor", messages=ASKED, response_format=Pet, max_tokens=5)


@pytest.mark.anyio
async def test_log_probabilities_and_stop_strings_are_as_ever(in_process: InProcess) -> None:
    asked = {"messages": ASKED, "guided_regex": "[a-c]{6}", "logprobs": True, "top_logprobs": 2, "temperature": 0}
    async with in_process.http() as client:
        choice = (await client.post(CHAT, json=asked)).json()["choices"][0]
        text = choice["message"]["content"]
        assert "".join(token["token"] for token in choice["logprobs"]["content"]) == text
        assert all(token["logprob"] < -0.01 for token in choice["logprobs"]["content"]), "the model's own"
        stopped = (await client.post(CHAT, json={**asked, "stop": [text[2:4]]})).json()["choices"][0]
    assert (stopped["message"]["content"], stopped["finish_reason"]) == (text[: text.index(text[2:4])], "stop")


REFUSED: list[tuple[str, str, dict[str, object]]] = [
    ("response_format", "object", {"response_format": "nonsense"}),
    ("response_format.type", "json_schema", {"response_format": {"type": "yaml"}}),
    ("response_format", "schema", {"response_format": {"type": "json_schema"}}),
    ("response_format", "uniqueItems", {"response_format": {"type": "json_object", "schema": {"uniqueItems": True}}}),
    ("guided_json", "not JSON", {"guided_json": "{"}),
    ("guided_json", "65536", {"guided_json": {"const": "x" * 70_000}}),
    ("guided_json", "levels", {"guided_json": json.loads('{"items": ' * 80 + "true" + "}" * 80)}),
    ("guided_regex", "look-around", {"guided_regex": "(?=a)b"}),
    ("guided_grammar", "nobody", {"guided_grammar": "start: nobody"}),
    ("guided_choice", "", {"guided_choice": []}),
    ("structured_outputs", "one of", {"structured_outputs": {}}),
    ("structured_outputs", "one of", {"structured_outputs": {"choice": ["a"], "regex": "b"}}),
    ("structured_outputs.structural_tag", "tools", {"structured_outputs": {"choice": ["a"], "structural_tag": "x"}}),
    ("guided_regex", "guided_json", {"guided_json": {}, "guided_regex": "a"}),
    ("guided_whitespace_pattern", "one way", {"guided_json": {}, "guided_whitespace_pattern": " *"}),
    ("min_tokens", "structure", {"guided_regex": "a", "min_tokens": 3}),
    ("ignore_eos", "structure", {"guided_regex": "a", "ignore_eos": True}),
]


@pytest.mark.anyio
async def test_what_cannot_be_kept_to_is_refused_by_name(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for param, says, body in REFUSED:
            for path, asked in ((CHAT, {"messages": ASKED}), (COMPLETIONS, {"prompt": "hello"})):
                answer = await client.post(path, json={**asked, **body})
                assert answer.status_code == 400, (body, answer.text)
                error = answer.json()["error"]
                assert (error["param"], says in error["message"]) == (param, True), (body, error)
