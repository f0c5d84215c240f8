"""Jobs over the control socket, as a client of it sees them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.supervisor.api.running import Running


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "home")
    yield running
    running.close()


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    file = tmp_path / "talk.jsonl"
    file.write_text("{}\n")
    return str(file)


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_answer_is_computed_elsewhere_under_the_fence(api: Running) -> None:
    job = api.client.post("/v1/jobs", json={"kind": "score", "run_id": "mine", "request": {"text": "Hi"}})
    assert job.status_code == 202
    at = f"/v1/jobs/{job.json()['id']}"
    who = {"host": "elsewhere", "worker": "worker 1", "pid": 7}
    attempt = api.client.post(f"{at}/claim", json=who).json()["attempt"]
    assert code(api.client.post(f"{at}/claim", json=who)) == (409, "not_claimable")
    beat = {"attempt": attempt, "progress": {"step": 1}}
    assert api.client.post(f"{at}/beat", json=beat).json() == {"cancel": False}
    assert code(api.client.post(f"{at}/beat", json=beat | {"attempt": 9})) == (409, "stale_attempt")
    assert api.client.post(f"{at}/cancel").json()["state"] == "cancelling"
    assert api.client.post(f"{at}/cancel").status_code == 202
    assert api.client.post(f"{at}/beat", json=beat).json() == {"cancel": True}
    done = {"attempt": attempt, "state": "completed", "cause": "completed", "result": {"loss": 1.5}}
    assert api.client.post(f"{at}/finish", json=done).json()["state"] == "completed"
    assert code(api.client.post(f"{at}/finish", json=done)) == (409, "stale_attempt")
    assert code(api.client.post(f"{at}/cancel")) == (409, "job_ended")
    shown = api.client.get(at, params={"wait": 5}).json()
    assert (shown["result"], shown["attempts"][0]["cause"], shown["progress"]) == (
        {"loss": 1.5},
        "completed",
        {"step": 1},
    )


def test_the_same_key_gives_the_same_job(api: Running) -> None:
    body = {"kind": "chat", "request": {"message": "Hi"}, "idempotency_key": "k"}
    first, again = (api.client.post("/v1/jobs", json=body) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()["id"]) == (202, 200, first.json()["id"])
    assert code(api.client.post("/v1/jobs", json=body | {"request": {}})) == (422, "idempotency_conflict")


def test_a_run_is_followed_to_its_end_and_its_name_is_taken(api: Running, corpus: str) -> None:
    body = {"kind": "train", "run_id": "mine", "request": {"train_files": [corpus]}}
    job = api.client.post("/v1/jobs", json=body).json()
    with api.client.stream("GET", f"/v1/jobs/{job['id']}/follow") as lines:
        news = [json.loads(line) for line in lines.iter_lines()]
    assert news[-1]["job"]["state"] == "completed"
    assert code(api.client.post("/v1/jobs", json=body)) == (409, "run_exists")
    listed = api.client.get("/v1/jobs", params={"kind": "train", "state": "completed", "run_id": "mine"}).json()
    assert [one["id"] for one in listed] == [job["id"]]
    assert api.client.get("/v1/jobs", params={"before": job["id"]}).json() == []


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"kind": "train"}, 422, "name files"),
        ({"kind": "train", "request": {"train_files": ["relative"]}}, 422, "absolute"),
        ({"kind": "train", "request": {"train_files": ["/none"]}}, 422, "/none"),
        ({"kind": "train", "request": {"train_files": ["/"], "overrides": {"epochs": -1}}}, 422, "epochs"),
        ({"kind": "train", "request": {"train_files": ["/"], "model": {"layers": 0}}}, 422, "layers"),
        ({"kind": "train", "request": {"files": ["/"]}}, 422, "files"),
        ({"kind": "train", "run_id": "../x", "request": {"train_files": ["/"]}}, 400, "run_id"),
        ({"kind": "tokenizer", "request": {"tokenizer_id": "a/b", "files": ["/"]}}, 422, "a/b"),
        ({"kind": "train", "request": {"train_files": ["/"], "tokenizer_id": "../../x"}}, 422, "tokenizer_id"),
        ({"kind": "train", "request": {"train_files": ["/"], "base": 10**30}}, 422, "base"),
        ({"kind": "evaluate", "request": {"version": 0}}, 422, "version"),
        ({"kind": "evaluate", "request": {"version": 10**30}}, 422, "version"),
        ({"kind": "dance"}, 400, "kind"),
    ],
)
def test_wrong_requests_are_refused_with_what_is_wrong(
    api: Running, body: dict[str, object], status: int, says: str
) -> None:
    answer = api.client.post("/v1/jobs", json=body)
    assert (answer.status_code, says in answer.json()["error"]["message"]) == (status, True), answer.text
    assert api.client.get("/v1/jobs").json() == []


def test_a_number_that_json_does_not_have_is_refused(api: Running) -> None:
    for number in ("NaN", "1e999"):
        answer = api.client.post("/v1/jobs", content=f'{{"kind": "score", "request": {{"temperature": {number}}}}}')
        assert code(answer) == (400, "bad_request")
    assert api.client.get("/v1/jobs").json() == []


def test_status_names_the_job_that_the_trainer_works_on(api: Running, corpus: str) -> None:
    async def hold() -> None:
        api.workers.hold("trainer")

    async def until_held() -> None:
        await api.workers.until_held("trainer")

    async def release() -> None:
        api.workers.release("trainer")

    assert api.client.get("/v1/status").json()["jobs"] == []
    api.in_loop(hold)
    api.client.post("/v1/jobs", json={"kind": "train", "run_id": "mine", "request": {"train_files": [corpus]}})
    api.in_loop(until_held)
    [job] = api.client.get("/v1/status").json()["jobs"]
    assert (job["kind"], job["run_id"], job["progress"]["step"]) == ("train", "mine", 6)
    api.in_loop(release)


def test_what_is_not_there_and_what_cannot_be_asked(api: Running) -> None:
    assert code(api.client.get("/v1/jobs/5")) == (404, "not_found")
    assert code(api.client.get("/v1/jobs", params={"state": "sleeping"})) == (400, "bad_request")
