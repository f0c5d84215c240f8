"""The package ``openai``: what a program that uses it does all day."""

import os

import openai

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
refused = None
try:
    client.chat.completions.create(model="thor", messages=ASKED, response_format={"type": "json_object"})
except openai.BadRequestError as error:
    refused = error
assert refused is not None, "free text in place of JSON"
assert refused.param == "response_format"
missing = ""
try:
    client.responses.create(model="thor", input="hello")
except openai.NotFoundError as error:
    missing = error.message
assert "/v1/chat/completions" in missing
