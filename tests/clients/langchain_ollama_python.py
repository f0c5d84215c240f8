"""``langchain-ollama``."""

import os
from typing import Literal

import pydantic
from langchain_ollama import ChatOllama, OllamaEmbeddings

given = {"base_url": os.environ["THORD_URL"].removesuffix("/v1"), "model": "thor"}
ASKED = "What is the capital of France? Answer in one sentence."
chat = ChatOllama(**given, temperature=0)
answer = chat.invoke(ASKED)
print(answer.content)
assert answer.response_metadata["done_reason"] == "stop"
assert "".join(piece.content for piece in chat.stream(ASKED)) == answer.content
assert len(OllamaEmbeddings(**given).embed_documents(["a", "b"])) == 2


class City(pydantic.BaseModel):
    """What an answer must be."""

    continent: Literal["Africa", "America", "Asia", "Europe"]


found = chat.with_structured_output(City, method="json_schema").invoke(ASKED)
print(found)
assert isinstance(found, City)
