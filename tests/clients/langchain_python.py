"""``langchain-openai``, with its defaults."""

import os
from typing import Annotated, Literal

import pydantic
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

given = {"base_url": os.environ["THORD_URL"], "api_key": "none", "model": "thor"}
chat = ChatOpenAI(**given, temperature=0)
answer = chat.invoke("What is the capital of France?")
print(answer.content)
assert answer.response_metadata["finish_reason"] == "stop"
assert "".join(piece.content for piece in chat.stream("What is the capital of France?")) == answer.content
assert len(chat.batch(["Hello", "Hi"])) == 2
assert OpenAI(**given, max_tokens=8).invoke("Once upon a time")
# Token ids of OpenAI's own vocabulary, its default, mean nothing to any other model.
embed = OpenAIEmbeddings(**given, check_embedding_ctx_length=False)
assert len(embed.embed_documents(["text"] * 1100)) == 1100, "its chunks have 1,000 texts"


class City(pydantic.BaseModel):
    """A city."""

    name: Annotated[str, pydantic.Field(max_length=30)]
    continent: Literal["Africa", "America", "Asia", "Europe"]


for method in ("json_schema", "function_calling"):
    found = chat.with_structured_output(City, method=method).invoke("What is the capital of France?")
    print(found)
    assert isinstance(found, City)
weather = {
    "name": "weather",
    "description": "Tells the weather",
    "parameters": {"type": "object", "properties": {"place": {"enum": ["Paris", "Rome"]}}, "required": ["place"]},
}
bound = chat.bind_tools([weather], tool_choice="any", parallel_tool_calls=False)
(call,) = bound.invoke("Hello").tool_calls
assert (call["name"], call["args"]["place"] in ("Paris", "Rome")) == ("weather", True)
gathered = None
for chunk in bound.stream("Hello"):
    gathered = chunk if gathered is None else gathered + chunk
assert gathered.tool_calls[0]["args"] == call["args"]
