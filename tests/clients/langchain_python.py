"""``langchain-openai``, with its defaults."""

import os

import openai
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
refused = ""
try:
    chat.bind_tools([{"name": "weather", "description": "w", "parameters": {}}], tool_choice="any").invoke("Hello")
except openai.BadRequestError as error:
    refused = str(error)
assert "tools" in refused, "tools were passed over"
