"""Fine-tuning jobs, with the unmodified client of OpenAI, over rows of jobs as the supervisor writes them."""

import csv
import io
import json
from pathlib import Path

import openai
import pytest

from daemon.job import JobState
from daemon.workers.server.api.fine_tuning.output import STATUS
from tests.daemon.workers.server.api.without_model import CHAT, MakeApi

pytestmark = pytest.mark.anyio
GOOD = "".join(CHAT % number for number in range(3)).encode()
PAIR = (
    '{"input": {"messages": [{"role": "user", "content": "Who?"}]},'
    ' "preferred_output": [{"role": "assistant", "content": "Me."}],'
    ' "non_preferred_output": [{"role": "assistant", "content": "You."}]}\n'
)


async def upload(client: openai.AsyncOpenAI, content: bytes = GOOD) -> str:
    return (await client.files.create(file=("talk.jsonl", content), purpose="fine-tune")).id


def write_metrics(home: Path, number: int) -> None:
    """As a run writes them."""
    folder = home / f"runs/job-{number:06d}"
    folder.mkdir(parents=True)
    at = "2026-01-02T03:04:05.000+00:00"
    lines = [
        {"at": at, "step": 0, "device": "cpu", "parameters": 10},
        {"at": at, "step": 1, "loss": 3.5, "learning_rate": 1e-3, "gradient_norm": 1.0, "tokens": 64},
        {"at": at, "step": 1, "histograms": {"x": "y" * 20_000}, "examples": []},
        {"at": at, "step": 2, "event": "skipped", "bad_loss": None, "bad_gradient_norm": None},
        {"at": at, "step": 2, "loss": 2.5, "learning_rate": 1e-3, "gradient_norm": 1.0, "tokens": 128},
        {"at": at, "step": 2, "validation_loss": 2.75, "validation_bits_per_character": 1.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"at": "20')


async def test_a_job_from_its_file_to_its_model(make_api: MakeApi) -> None:
    client, supervisor = make_api().openai("alice"), make_api.supervisor
    training = await upload(client)
    job = await client.fine_tuning.jobs.create(
        model="thor",
        training_file=training,
        suffix="my style",
        metadata={"team": "one"},
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 2, "batch_size": 12, "learning_rate_multiplier": 0.5},
            },
        },
        seed=7,
    )
    row = supervisor.rows[1]
    assert (job.id, job.status, job.object, job.fine_tuned_model) == ("ftjob-1", "queued", "fine_tuning.job", None)
    assert (job.training_file, job.validation_file, job.result_files, job.seed) == (training, None, [], 7)
    assert (job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == (2, 12)
    assert job.method.supervised.hyperparameters.learning_rate_multiplier == 0.5
    assert (job.organization_id, job.metadata, job.error, job.finished_at) == ("thord", {"team": "one"}, None, None)
    assert (row["run_id"], row["promote"]) == ("my-style", "never")
    assert row["request"]["overrides"] == {
        "seed": 7,
        "epochs": 2.0,
        "batch_size": 6,
        "gradient_accumulation": 2,
        "learning_rate_multiplier": 0.5,
    }
    (path,) = row["request"]["train_files"]
    assert Path(path).read_bytes() == GOOD

    supervisor.start(1, steps=2, eta_seconds=60.0)
    write_metrics(make_api.home, 1)
    running = await client.fine_tuning.jobs.retrieve(job.id)
    assert running.status == "running"
    assert running.estimated_finish > running.created_at
    assert (await client.fine_tuning.jobs.checkpoints.list(job.id)).data == []

    supervisor.end(1, "completed", "completed", version="000012", result={})
    done = await client.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.fine_tuned_model, done.trained_tokens) == ("succeeded", "thor@000012", 128)
    assert done.finished_at >= done.created_at
    (results,) = done.result_files
    table = list(csv.DictReader(io.StringIO((await client.files.content(results)).text)))
    assert [(row["step"], row["train_loss"], row["valid_loss"]) for row in table] == [
        ("1", "3.5", ""),
        ("2", "2.5", "2.75"),
    ]
    assert (await client.files.retrieve(results)).purpose == "fine-tune-results"
    (checkpoint,) = (await client.fine_tuning.jobs.checkpoints.list(job.id)).data
    assert checkpoint.fine_tuned_model_checkpoint == "thor@000012"
    assert (checkpoint.step_number, checkpoint.metrics.valid_loss, checkpoint.metrics.train_loss) == (2, 2.75, 2.5)

    await client.files.delete(results)
    assert (await client.fine_tuning.jobs.retrieve(job.id)).result_files == [], "what is deleted stays so"
    assert [each.id async for each in client.files.list()] == [training]


async def test_events_come_newest_first_and_keep_their_ids(make_api: MakeApi) -> None:
    client, supervisor = make_api().openai("alice"), make_api.supervisor
    job = await client.fine_tuning.jobs.create(
        model="thor@000003", training_file=await upload(client, GOOD + PAIR.encode()), extra_body={"promote": "gate"}
    )
    assert supervisor.rows[1]["request"]["base"] == 3
    first = (await client.fine_tuning.jobs.list_events(job.id)).data
    assert [event.level for event in first] == ["warn", "info", "info"]
    assert "1 samples of kind preference" in first[0].message
    supervisor.start(1, steps=2)
    supervisor.rows[1]["attempts"][0] |= {"ended_at": supervisor.rows[1]["started_at"], "cause": "signal 9"}
    supervisor.start(1, steps=2)
    write_metrics(make_api.home, 1)
    supervisor.end(1, "completed", "completed", version="000012", result={"promoted": False, "reason": "worse"})
    page = await client.fine_tuning.jobs.list_events(job.id, limit=4)
    assert page.has_more
    found = [event async for event in client.fine_tuning.jobs.list_events(job.id, limit=4)]
    assert len({event.id for event in found}) == len(found)
    assert {event.id for event in first} <= {event.id for event in found}
    messages = [event.message for event in found]
    assert messages[0] == "The job has successfully completed"
    assert messages[1] == "The gate keeps thor@000012 out of service: worse. It can still be asked by this name"
    assert "Attempt 1 ended: signal 9" in messages
    metrics = [event for event in found if event.type == "metrics"]
    assert {"step": 2, "total_steps": 2, "valid_loss": 2.75, "learning_rate": None} in [each.data for each in metrics]
    assert {event.type for event in found} == {"message", "metrics"}
    assert (await client.fine_tuning.jobs.retrieve(job.id)).status == "succeeded"


async def test_a_validation_file_that_is_not_measured_is_said_so(make_api: MakeApi) -> None:
    client, rows = make_api().openai("alice"), make_api.supervisor.rows
    training, validation = await upload(client), await upload(client, (CHAT % 9).encode())
    plain = await client.fine_tuning.jobs.create(model="thor", training_file=training, validation_file=validation)
    assert plain.validation_file == validation
    assert rows[1]["request"]["held_out_share"] == 0.0, "all of the training file is learned"
    assert "Nothing is measured on" in (await client.fine_tuning.jobs.list_events(plain.id)).data[0].message
    gated = await client.fine_tuning.jobs.create(
        model="thor", training_file=training, validation_file=validation, extra_body={"promote": "gate"}
    )
    assert rows[2]["request"]["held_out_share"] is None
    assert len((await client.fine_tuning.jobs.list_events(gated.id)).data) == 2


async def test_jobs_of_others_and_of_other_kinds_do_not_exist(make_api: MakeApi) -> None:
    api, supervisor = make_api(), make_api.supervisor
    client = api.openai("alice")
    job = await client.fine_tuning.jobs.create(model="thor", training_file=await upload(client))
    owner = supervisor.rows[1]["owner"]
    await supervisor.submit("train", {"owner": owner, "promote": "never", "request": {"train_files": []}})
    bob = api.openai("bob")
    for asked in (bob.fine_tuning.jobs.retrieve, bob.fine_tuning.jobs.cancel, bob.fine_tuning.jobs.list_events):
        with pytest.raises(openai.NotFoundError):
            await asked(job.id)
    with pytest.raises(openai.NotFoundError) as missing:
        await bob.fine_tuning.jobs.create(model="thor", training_file=job.training_file)
    assert missing.value.param == "training_file"
    for name in ("ftjob-2", "ftjob-0", "ftjob-99", "job", "ftjob-" + "9" * 40):
        with pytest.raises(openai.NotFoundError):
            await client.fine_tuning.jobs.retrieve(name)
    assert [each.id async for each in client.fine_tuning.jobs.list()] == [job.id]
    assert [each async for each in bob.fine_tuning.jobs.list()] == []


async def test_lists_are_newest_first_in_pages_and_by_metadata(make_api: MakeApi) -> None:
    client = make_api().openai("alice")
    training = await upload(client)
    for number in range(5):
        await client.fine_tuning.jobs.create(
            model="thor", training_file=training, metadata={"odd": str(number % 2)} if number else openai.omit
        )
    jobs = client.fine_tuning.jobs
    names = ["ftjob-5", "ftjob-4", "ftjob-3", "ftjob-2", "ftjob-1"]
    assert [each.id async for each in jobs.list(limit=2)] == names
    page = await jobs.list(limit=2, after="ftjob-4")
    assert ([each.id for each in page.data], page.has_more) == (["ftjob-3", "ftjob-2"], True)
    assert [each.id async for each in jobs.list(metadata={"odd": "1"})] == ["ftjob-4", "ftjob-2"]
    assert [each.id async for each in jobs.list(extra_query={"metadata": "null"})] == ["ftjob-1"]
    with pytest.raises(openai.BadRequestError):
        await jobs.list(after="nothing")


async def test_a_name_that_is_taken_is_made_longer_and_a_key_gives_the_same_job(make_api: MakeApi) -> None:
    client, rows = make_api().openai("alice"), make_api.supervisor.rows
    given = {"model": "thor", "training_file": await upload(client), "suffix": "x"}
    await client.fine_tuning.jobs.create(**given)
    again = await client.fine_tuning.jobs.create(**given)
    assert again.id == "ftjob-2"
    assert rows[2]["run_id"].startswith("x-")
    key = {"extra_headers": {"Idempotency-Key": "abc"}}
    once = await client.fine_tuning.jobs.create(**given, **key)
    assert (await client.fine_tuning.jobs.create(**given, **key)).id == once.id
    with pytest.raises(openai.UnprocessableEntityError):
        await client.fine_tuning.jobs.create(**{**given, "seed": 3}, **key)


async def test_a_job_is_cancelled_and_its_file_can_go_only_then(make_api: MakeApi) -> None:
    client, supervisor = make_api().openai("alice"), make_api.supervisor
    training = await upload(client)
    job = await client.fine_tuning.jobs.create(model="thor", training_file=training)
    supervisor.start(1)
    for refused in (client.fine_tuning.jobs.pause, client.fine_tuning.jobs.resume):
        with pytest.raises(openai.BadRequestError, match="cancel this one"):
            await refused(job.id)
    assert (await client.fine_tuning.jobs.cancel(job.id)).status == "running"
    with pytest.raises(openai.ConflictError) as needed:
        await client.files.delete(training)
    assert "ftjob-1" in needed.value.message
    supervisor.end(1, "cancelled", "cancelled", error="cancelled by alice")
    assert (await client.fine_tuning.jobs.retrieve(job.id)).status == "cancelled"
    assert (await client.fine_tuning.jobs.list_events(job.id)).data[0].message == "Fine-tuning job cancelled"
    assert (await client.files.delete(training)).deleted
    with pytest.raises(openai.ConflictError):
        await client.fine_tuning.jobs.cancel(job.id)


async def test_a_job_that_failed_says_why(make_api: MakeApi) -> None:
    client, supervisor = make_api().openai("alice"), make_api.supervisor
    job = await client.fine_tuning.jobs.create(model="thor", training_file=await upload(client))
    supervisor.start(1)
    (path,) = supervisor.rows[1]["request"]["train_files"]
    supervisor.end(1, "failed", "raised", error=f"{path}: everything in it is held out; see /srv/secret/runs/log.txt")
    failed = await client.fine_tuning.jobs.retrieve(job.id)
    says = f"{job.training_file}: everything in it is held out; see log.txt"
    assert (failed.status, failed.error.message, failed.fine_tuned_model) == ("failed", says, None)
    assert (await client.fine_tuning.jobs.list_events(job.id)).data[0].level == "error"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"training_file": "file-none"}, "training_file"),
        ({"training_file": "../../keys"}, "training_file"),
        ({"model": "gpt-4o-mini"}, "model"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"method": {"type": "dpo"}}, "method.type"),
        ({"method": {"type": "reinforcement", "reinforcement": {"grader": {}}}}, "method.type"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": True}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 10**9}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"learning_rate": 0.1}}, "hyperparameters.learning_rate"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations.0"),
        ({"metadata": {"k" * 65: "v"}}, None),
        ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
        ({"suffix": "s" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"extra_body": {"promote": "force"}}, "promote"),
        ({"extra_body": {"n_epochs": 3}}, "n_epochs"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(make_api: MakeApi, given: dict[str, object], param: str) -> None:
    client = make_api().openai("alice")
    with pytest.raises(openai.APIStatusError) as refused:
        await client.fine_tuning.jobs.create(**{"model": "thor", "training_file": await upload(client), **given})
    assert refused.value.status_code in {400, 404}
    assert param is None or refused.value.param == param
    assert not make_api.supervisor.rows


async def test_files_that_cannot_be_learned_make_no_job(make_api: MakeApi) -> None:
    client = make_api().openai("alice")
    plain = await client.files.create(file=GOOD, purpose="user_data")
    cases = {
        await upload(client, GOOD + b'{"messages": "none"}\n'): ("invalid_training_file", "line 4"),
        plain.id: ("invalid_file_purpose", "user_data"),
    }
    for name, (code, says) in cases.items():
        with pytest.raises(openai.BadRequestError) as refused:
            await client.fine_tuning.jobs.create(model="thor", training_file=name)
        assert refused.value.code == code
        assert says in refused.value.message
    with pytest.raises(openai.PermissionDeniedError):
        await make_api().openai("reader").fine_tuning.jobs.list()


def test_every_state_has_a_status() -> None:
    assert STATUS.keys() == {str(state) for state in JobState}
    assert set(STATUS.values()) <= {"queued", "running", "succeeded", "failed", "cancelled"}
