"""The package ``anthropic``: texts, streams, tools, and JSON of a schema."""

import os
from typing import Literal

import anthropic
import pydantic

ASKED = {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
client = anthropic.Anthropic(base_url=os.environ["THORD_URL"].removesuffix("/v1"), api_key="none", timeout=300)
given = {"model": "thor", "max_tokens": 200, "extra_body": {"temperature": 0}}

answer = client.messages.create(messages=[ASKED], **given)
print(answer.content[0].text)
assert answer.stop_reason == "end_turn"
with client.messages.stream(messages=[ASKED], **given) as stream:
    text = "".join(stream.text_stream)
    last = stream.get_final_message()
assert text == last.content[0].text == answer.content[0].text
assert last.usage.output_tokens == answer.usage.output_tokens
assert client.messages.count_tokens(model="thor", messages=[ASKED]).input_tokens == answer.usage.input_tokens
place = {"type": "object", "properties": {"place": {"enum": ["Paris", "Rome"]}}, "required": ["place"]}
tools = [{"name": "weather", "description": "Tells the weather", "input_schema": place}]
choice = {"type": "any", "disable_parallel_tool_use": True}
called = client.messages.create(messages=[ASKED], tools=tools, tool_choice=choice, **given)
(call,) = called.content
print(call.input)
assert (called.stop_reason, call.name) == ("tool_use", "weather")
assert call.input["place"] in ("Paris", "Rome")
with client.messages.stream(messages=[ASKED], tools=tools, tool_choice=choice, **given) as stream:
    assert stream.get_final_message().content[0].input == call.input
result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny, 25 degrees."}
history = [ASKED, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
told = client.messages.create(
    messages=history, tools=tools, tool_choice={"type": "none"}, **{**given, "max_tokens": 30}
)
print(told.content[0].text)


class City(pydantic.BaseModel):
    """What an answer must be."""

    continent: Literal["Africa", "America", "Asia", "Europe"]


parsed = client.messages.parse(messages=[ASKED], output_format=City, **given)
print(parsed.parsed_output)
assert isinstance(parsed.parsed_output, City)
refused = None
try:
    client.messages.create(messages=[ASKED], **{**given, "model": "other"})
except anthropic.NotFoundError as error:
    refused = error
assert "thor" in str(refused)
