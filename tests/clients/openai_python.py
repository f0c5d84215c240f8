"""The package ``openai``: what a program that uses it does all day."""

import os
from typing import Annotated, Literal

import openai
import pydantic

ASKED = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
client = openai.OpenAI(base_url=os.environ["THORD_URL"], api_key="none", timeout=300)

answer = client.chat.completions.create(model="thor", messages=ASKED, temperature=0)
print(answer.choices[0].message.content)
assert answer.choices[0].finish_reason == "stop", "no max_tokens, so the model ends it"
stream = client.chat.completions.create(
    model="thor", messages=ASKED, temperature=0, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == answer.choices[0].message.content
assert chunks[-1].usage == answer.usage
assert client.completions.create(model="thor", prompt="Once upon a time").usage.completion_tokens <= 16
many = client.embeddings.create(model="thor", input=["a"] * 300)
assert len(many.data) == 300


class City(pydantic.BaseModel):
    """What an answer must be."""

    name: Annotated[str, pydantic.Field(max_length=30)]
    is_capital: bool
    continent: Literal["Africa", "America", "Asia", "Europe"]


class Weather(pydantic.BaseModel):
    """What the tool is called with."""

    place: Literal["Paris", "Rome"]
    days: Annotated[int, pydantic.Field(ge=1, le=7)]


parsed = client.chat.completions.parse(model="thor", messages=ASKED, temperature=0, response_format=City)
print(parsed.choices[0].message.parsed)
assert isinstance(parsed.choices[0].message.parsed, City)
tool = openai.pydantic_function_tool(Weather)
for choice in ("required", {"type": "function", "function": {"name": "Weather"}}):
    called = client.chat.completions.parse(
        model="thor", messages=ASKED, temperature=0, tools=[tool], tool_choice=choice, parallel_tool_calls=False
    )
    (call,) = called.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Weather)
    assert called.choices[0].finish_reason == "tool_calls"
result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 25 degrees."}
last = client.chat.completions.create(
    model="thor", messages=[*ASKED, called.choices[0].message, result], temperature=0, tools=[tool], max_tokens=30
)
assert last.choices[0].message.content or last.choices[0].message.tool_calls
with client.chat.completions.stream(
    model="thor", messages=ASKED, temperature=0, tools=[tool], tool_choice="required", parallel_tool_calls=False
) as events:
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
assert done[0].arguments == call.function.arguments
