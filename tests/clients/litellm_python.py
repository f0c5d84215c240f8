"""``litellm``, as a client of an OpenAI-compatible and of a vLLM server."""

import os

import litellm

given = {"api_base": os.environ["THORD_URL"], "api_key": "none"}
asked = [{"role": "user", "content": "What is the capital of France?"}]
answer = litellm.completion(model="openai/thor", messages=asked, temperature=0, **given)
print(answer.choices[0].message.content)
assert answer.choices[0].finish_reason == "stop"
hosted = litellm.completion(model="hosted_vllm/thor", messages=asked, temperature=0, **given)
assert hosted.choices[0].message.content == answer.choices[0].message.content
parts = list(litellm.completion(model="openai/thor", messages=asked, temperature=0, stream=True, **given))
whole = litellm.stream_chunk_builder(parts, messages=asked)
assert whole.choices[0].message.content == answer.choices[0].message.content
assert litellm.text_completion(model="text-completion-openai/thor", prompt="Once", max_tokens=4, **given).choices
assert len(litellm.embedding(model="openai/thor", input=["a", "b"], **given).data) == 2
long = None
try:
    litellm.completion(model="openai/thor", messages=[{"role": "user", "content": "fox " * 20_000}], **given)
except litellm.ContextWindowExceededError as error:
    long = error
assert long is not None, "so that fallbacks to a longer context are tried"
