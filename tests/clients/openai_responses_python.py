"""The package ``openai`` with the Responses API: texts, structures, tools, and chats that the server remembers."""

import os
from typing import Annotated, Literal

import openai
import pydantic

ASKED = "What is the capital of France? Answer in one sentence."
client = openai.OpenAI(base_url=os.environ["THORD_URL"], api_key="none", timeout=300)
given = {"model": "thor", "temperature": 0}

answer = client.responses.create(input=ASKED, **given)
print(answer.output_text)
assert answer.status == "completed", "no max_output_tokens, so the model ends it"
with client.responses.stream(input=ASKED, **given) as stream:
    text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == stream.get_final_response().output_text == answer.output_text
follows = client.responses.create(input="And of Spain?", previous_response_id=answer.id, **given)
print(follows.output_text)
assert follows.usage.input_tokens > answer.usage.total_tokens
assert client.responses.retrieve(follows.id).output_text == follows.output_text
client.responses.delete(follows.id)


class City(pydantic.BaseModel):
    """What an answer must be."""

    name: Annotated[str, pydantic.Field(max_length=30)]
    continent: Literal["Africa", "America", "Asia", "Europe"]


class Weather(pydantic.BaseModel):
    """What the tool is called with."""

    place: Literal["Paris", "Rome"]


parsed = client.responses.parse(input=ASKED, text_format=City, **given).output_parsed
print(parsed)
assert isinstance(parsed, City)
tool = openai.pydantic_function_tool(Weather)
called = client.responses.parse(input=ASKED, tools=[tool], tool_choice="required", parallel_tool_calls=False, **given)
(call,) = called.output
assert isinstance(call.parsed_arguments, Weather)
result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 25 degrees."}
last = client.responses.create(
    input=[result],
    previous_response_id=called.id,
    tools=[{**tool["function"], "type": "function"}],
    tool_choice="none",
    max_output_tokens=30,
    **given,
)
print(last.output_text)
assert last.output_text
