"""Runs and tokenizers as clients ask for them: what becomes of the documented fields, states, and refusals."""

import asyncio

import pytest

from tests.daemon.workers.server.api.runs.conftest import Api

pytestmark = pytest.mark.anyio
TRAIN = {"run_id": "gpt2-run-001", "model_family": "gpt2", "model_size": "tiny", "corpus_path": "text.txt"}


@pytest.fixture
def corpus(api: Api) -> str:
    file = api.paths.state / "corpus/text.txt"
    file.write_text("hello")
    return str(file)


async def test_a_run_is_asked_for_as_documented(api: Api, corpus: str) -> None:
    asked = TRAIN | {
        "num_epochs": 3, "batch_size": 8, "learning_rate": 0.0001, "max_seq_len": 128, "seed": 42, "user_id": 12345,
        "tokenizer_id": "my-bpe", "gradient_clipping": 1.0, "early_stopping_patience": 2, "queue": "gpu", "odd": 1,
    }  # fmt: skip
    unknown = await api.post("/runs/train", asked)
    assert (unknown.status_code, unknown.json()["message"]) == (404, "there is no tokenizer 'my-bpe'")
    await api.post("/tokenizers/train", {"tokenizer_id": "my-bpe", "corpus_path": "text.txt"})
    queued = await api.post("/runs/train", asked)
    assert (queued.status_code, queued.headers["location"]) == (202, "/runs/gpt2-run-001")
    assert queued.headers["x-thord-ignored-fields"] == "odd"
    assert queued.json()["run_id"] == "gpt2-run-001"
    row = api.jobs.rows[int(queued.json()["job_id"])]
    assert (row["kind"], row["user_id"], row["queue"], row["run_id"]) == ("train", 12345, "gpu", "gpt2-run-001")
    request = row["request"]
    assert request["corpus"] == [corpus]
    chosen = {key: value for key, value in request["model"].items() if value is not None}
    assert chosen == {"family": "gpt2", "preset": "tiny"}
    assert "kv_heads" in request["model"], "what the settings say of another family's shape is left out"
    assert request["tokenizer_id"] == "my-bpe"
    assert request["overrides"] == {
        "epochs": 3, "batch_size": 8, "learning_rate": 0.0001, "sequence_length": 128, "seed": 42, "max_grad_norm": 1.0,
        "early_stopping_epochs": 2,
    }  # fmt: skip
    taken = await api.post("/runs/train", asked)
    assert (taken.status_code, taken.json()["code"]) == (409, "RUN_EXISTS")


async def test_a_run_goes_on_from_another(api: Api, corpus: str) -> None:
    asked = {"pretrained_run_id": "first", "corpus_path": corpus, "learning_rate": 0.01, "finetune_lr_cap": 0.001}
    queued = (await api.post("/runs/train", asked)).json()
    request = api.jobs.rows[int(queued["job_id"])]["request"]
    assert (request["base"], request["overrides"]["learning_rate"]) == (1, 0.001)
    assert queued["run_id"] == f"run-{int(queued['job_id']):06d}"
    assert (await api.get(f"/runs/{queued['run_id']}")).json()["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"corpus_path": "text.txt", "model_family": "bert"}, 422),
        ({"corpus_path": "text.txt", "num_epochs": "3"}, 422),
        ({"corpus_path": "text.txt", "model_size": "tiny"}, 422),
        ({"corpus_path": "text.txt", "freeze_embed": True}, 422),
        ({"model_family": "gpt2"}, 422),
        ({"corpus_path": "text.txt", "run_id": "../x"}, 422),
        ({"corpus_path": "/etc/hosts"}, 403),
        ({"corpus_path": "none.txt"}, 404),
        ({"corpus_file_id": "file-none"}, 404),
        ({"corpus_path": "text.txt", "pretrained_run_id": "nobody"}, 404),
        ({"corpus_path": "text.txt", "promote": "force"}, 403),
    ],
)
async def test_what_cannot_be_trained_is_refused(api: Api, corpus: str, body: dict, status: int) -> None:
    before = len(api.jobs.rows)
    answer = await api.post("/runs/train", body)
    assert answer.status_code == status, answer.text
    assert len(api.jobs.rows) == before


@pytest.mark.parametrize(
    ("state", "status", "begins"),
    [
        ("queued", "queued", None), ("waiting_retry", "queued", "tried again"),
        ("running", "running", "Training epoch 2/3"),
        ("cancelling", "running", "it was asked"), ("completed", "completed", None), ("failed", "failed", "it broke"),
        ("cancelled", "failed", "cancelled"),
    ],
)  # fmt: skip
async def test_states_are_the_documented_ones(api: Api, state: str, status: str, begins: str | None) -> None:
    api.jobs.trained("r", state=state, error="it broke", progress={"epoch": 2, "epochs": 3, "step": 5, "steps": 9})
    found = (await api.get("/runs/r")).json()
    assert found["status"] == status
    assert (found["message"] is None) == (begins is None)
    assert begins is None or found["message"].startswith(begins)


async def test_a_run_is_cancelled_once_or_twice_and_not_after_its_end(api: Api) -> None:
    api.jobs.trained("r", state="running")
    for _ in range(2):
        answer = await api.post("/runs/r/cancel")
        assert (answer.status_code, answer.json()) == (202, {"status": "cancellation-requested"})
    assert (await api.post("/runs/first/cancel")).json()["code"] == "JOB_ENDED"


async def test_a_run_that_was_cancelled_has_no_version(api: Api) -> None:
    """The number of one is set aside as soon as it begins."""
    api.jobs.trained("r", version="000077", state="cancelled", error="cancelled by uid 0")
    asked = await api.post("/runs/r/generate", {"prompt_text": "a"})
    assert (asked.status_code, asked.json()["code"]) == (409, "RUN_WITHOUT_VERSION")


async def test_an_evaluation_is_of_the_runs_version(api: Api) -> None:
    assert (await api.get("/runs/first/eval")).status_code == 404
    queued = await api.post("/runs/first/evaluate", {"split": "test"})
    assert queued.json() | {"job_id": ""} == {
        "run_id": "first", "job_id": "", "split": "test", "status": "queued", "loss": None, "perplexity": None,
        "artifact_path": None, "message": None, "metrics": None,
    }  # fmt: skip
    row = api.jobs.rows[int(queued.json()["job_id"])]
    assert row["request"] == {"version": 1, "split": "test"}
    row.update(state="completed", result={"loss": 3.21, "perplexity": 24.8, "artifact_path": "/a/eval"})
    found = (await api.get("/runs/first/eval")).json()
    assert (found["status"], found["loss"], found["perplexity"]) == ("completed", 3.21, 24.8)


async def test_a_tokenizer_is_trained_and_looked_at(api: Api, corpus: str) -> None:
    asked = {"tokenizer_id": "my-bpe", "method": "sentencepiece", "vocab_size": 500, "corpus_path": "text.txt"}
    queued = await api.post("/tokenizers/train", {**asked, "min_frequency": 2})
    assert queued.headers["x-thord-ignored-fields"] == "min_frequency"
    assert (queued.status_code, queued.json()["tokenizer_id"]) == (202, "my-bpe")
    request = api.jobs.rows[max(api.jobs.rows)]["request"]
    assert (request["kind"], request["vocabulary"], request["files"]) == ("sentencepiece-bpe", 500, [corpus])
    assert (await api.get("/tokenizers/my-bpe")).json()["status"] == "queued"
    assert (await api.get("/tokenizers/none")).json()["code"] == "NOT_FOUND"


async def test_a_log_is_followed_to_the_end_and_resumed(api: Api) -> None:
    number = api.jobs.trained("r", state="running")
    log = api.paths.job_log(number)
    assert (await api.get("/runs/r/logs")).status_code == 404
    log.parent.mkdir(parents=True)
    log.write_text('{"event": "a step", "loss": 2.5, "at": "2026-01-02T03:04:05.1Z", "level": "info"}\n')
    assert (await api.get("/runs/r/logs")).text == "[2026-01-02 03:04:05] a step, loss=2.5\n"

    async def grow() -> None:
        await asyncio.sleep(0.1)
        with log.open("a") as file:
            file.write("plain\n")
        api.jobs.rows[number]["state"] = "completed"

    growing = asyncio.create_task(grow())
    events = (await api.get("/runs/r/logs/stream")).text.split("\n\n")
    await growing
    inode = log.stat().st_ino
    first_end = log.read_bytes().index(b"\n") + 1
    assert events[1] == f"id: {inode}:{first_end}\ndata: [2026-01-02 03:04:05] a step, loss=2.5"
    assert events[2] == f"id: {inode}:{first_end + 6}\ndata: plain"
    assert events[3].startswith(f"id: {inode}:{first_end + 6}\nevent: done\ndata: ")
    assert '"status": "completed"' in events[3]
    rest = await api.get("/runs/r/logs/stream", headers={"last-event-id": f"{inode}:{first_end}"})
    assert "a step" not in rest.text
    assert "plain" in rest.text
    over = await api.get("/runs/r/logs/stream", params={"after": f"{inode}:{first_end + 6}"})
    assert (over.status_code, over.text) == (204, "")
    assert (await api.get("/runs/r/logs/stream?after=x")).status_code == 422


async def test_streams_end_when_the_server_stops(api: Api) -> None:
    number = api.jobs.trained("r", state="running")
    log = api.paths.job_log(number)
    log.parent.mkdir(parents=True)
    log.write_text("one\n")
    streams = [asyncio.create_task(api.get("/runs/r/logs/stream")) for _ in range(3)]
    await asyncio.sleep(0.2)
    api.made.runs.logs.close()
    for stream in streams:
        assert "one" in (await asyncio.wait_for(stream, 5)).text
