"""``llama-index-llms-openai-like``."""

import os

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

given = {"api_base": os.environ["THORD_URL"], "api_key": "none", "model": "thor", "temperature": 0, "timeout": 300}
chat = OpenAILike(**given, is_chat_model=True)
asked = [ChatMessage(role="user", content="What is the capital of France?")]
answer = chat.chat(asked).message.content
print(answer)
assert "".join(piece.delta or "" for piece in chat.stream_chat(asked)) == answer
assert chat.complete("Say hello.").text
assert OpenAILike(**given, is_chat_model=False, max_tokens=8).complete("Once upon a time").text
