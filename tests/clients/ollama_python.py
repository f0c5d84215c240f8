"""The package ``ollama``: chats, generations, embeddings, and what it asks of models."""

import json
import os
from typing import Literal

import ollama
import pydantic

ASKED = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
client = ollama.Client(host=os.environ["THORD_URL"].removesuffix("/v1"), timeout=300)
given = {"model": "thor", "options": {"temperature": 0}}

answer = client.chat(messages=ASKED, **given)
print(answer.message.content)
assert (answer.done, answer.done_reason) == (True, "stop")
assert answer.eval_count > 0
assert 0 < answer.prompt_eval_duration < answer.total_duration
parts = list(client.chat(messages=ASKED, stream=True, **given))
assert "".join(part.message.content for part in parts) == answer.message.content
assert [part.done for part in parts] == [*[False] * (len(parts) - 1), True]
same = client.generate(prompt=ASKED[0]["content"], **given)
assert same.response == answer.message.content
pieces = client.generate(prompt=ASKED[0]["content"], stream=True, **given)
assert "".join(piece.response for piece in pieces) == same.response


class City(pydantic.BaseModel):
    """What an answer must be."""

    continent: Literal["Africa", "America", "Asia", "Europe"]


found = client.chat(messages=ASKED, format=City.model_json_schema(), **given)
print(City.model_validate_json(found.message.content))
short = client.chat(messages=ASKED, format="json", model="thor", options={"temperature": 0, "num_predict": 5})
assert (short.message.content[0], short.done_reason) == ("{", "length")


def weather(place: str) -> str:
    """Tell the weather.

    Args:
        place: the city
    """
    return f"Sunny in {place}"


called = client.chat(messages=ASKED, tools=[weather], model="thor", options={"temperature": 0, "num_predict": 100})
call = {"function": {"name": "weather", "arguments": {"place": "Paris"}}}
result = {"role": "tool", "tool_name": "weather", "content": "Sunny, 25 degrees."}
history = [*ASKED, {"role": "assistant", "content": "", "tool_calls": [call]}, result]
told = client.chat(messages=history, tools=[weather], model="thor", options={"temperature": 0, "num_predict": 30})
assert told.prompt_eval_count > called.prompt_eval_count
assert len(client.embed(model="thor", input=["a", "b"]).embeddings) == 2
listed = client.list().models
assert listed[0].model == "thor:latest"
assert client.ps().models[0].digest == listed[0].digest
assert client.show("thor").details.family == listed[0].details.family
refused = None
try:
    client.chat(model="other", messages=ASKED)
except ollama.ResponseError as error:
    refused = error
assert (refused.status_code, "thor" in refused.error) == (404, True)
print(json.dumps({"tokens a second": round(answer.eval_count / answer.eval_duration * 1e9, 1)}))
