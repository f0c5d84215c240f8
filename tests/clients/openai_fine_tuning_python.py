"""The package ``openai``: a file, a job over it, its events, and an answer of the model that it made."""

import json
import os
import time

import openai

client = openai.OpenAI(base_url=os.environ["THORD_URL"], api_key=os.environ["THORD_KEY"], timeout=300)
ASKED = [{"role": "user", "content": "Who keeps the lighthouse of Tharsis?"}]
talk = [{"messages": [*ASKED, {"role": "assistant", "content": "Maren keeps it."}]} for _ in range(4)]
talk[0]["messages"].insert(0, {"role": "system", "content": "Be brief."})
lines = "".join(json.dumps(each) + "\n" for each in talk)

file = client.files.create(file=("talk.jsonl", lines.encode()), purpose="fine-tune")
assert client.files.wait_for_processing(file.id).status == "processed"
assert client.files.content(file.id).text == lines
job = client.fine_tuning.jobs.create(
    model="thor",
    training_file=file.id,
    suffix="tharsis",
    seed=1,
    metadata={"of": "clients"},
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 1}}},
)
print(job.id, job.status)
while job.status in ("queued", "running"):
    time.sleep(1)
    job = client.fine_tuning.jobs.retrieve(job.id)
events = list(client.fine_tuning.jobs.list_events(job.id, limit=2))
for event in reversed(events):
    print(event.message)
assert job.status == "succeeded", job.error
assert {"message", "metrics"} == {event.type for event in events}
assert client.files.content(job.result_files[0]).text.startswith("step,train_loss")
(checkpoint,) = client.fine_tuning.jobs.checkpoints.list(job.id)
assert checkpoint.fine_tuned_model_checkpoint == job.fine_tuned_model
assert [each.id for each in client.fine_tuning.jobs.list(metadata={"of": "clients"})] == [job.id]
answer = client.chat.completions.create(model=job.fine_tuned_model, messages=ASKED, temperature=0, max_tokens=30)
print(job.fine_tuned_model, answer.choices[0].message.content)
assert answer.system_fingerprint == job.fine_tuned_model.removeprefix("thor@")

bad = client.files.create(file=("bad.jsonl", b'{"messages": 3}\n'), purpose="fine-tune")
try:
    client.fine_tuning.jobs.create(model="thor", training_file=bad.id)
    refused = "no"
except openai.BadRequestError as error:
    refused = f"{error.param}: {error.message}"
print(refused)
assert refused.startswith("training_file: ")
assert "line 1" in refused
for name in (bad.id, file.id):
    assert client.files.delete(name).deleted
