"""Texts and scores of runs over HTTP, against the model itself; and what is refused."""

import asyncio
import math

import pytest
import torch

from daemon.workers.server.api.runs.computing import windows
from engine.tokenizers.base import BOS
from tests.daemon.workers.server.api.runs.conftest import Api

pytestmark = pytest.mark.anyio


async def test_a_text_is_generated_and_asked_for_again(api: Api) -> None:
    asked = {"prompt_text": "The quick", "max_new_tokens": 5, "temperature": 0, "num_return_sequences": 2}
    queued = await api.post("/runs/first/generate", asked)
    assert (queued.status_code, queued.headers["retry-after"]) == (202, "1")
    assert queued.json() | {"request_id": "", "status": ""} == {
        "request_id": "", "status": "", "outputs": None, "steps": None, "eos_terminated": None, "version": None,
        "message": None,
    }  # fmt: skip
    found = (await api.get(queued.headers["location"], params={"wait": 30})).json()
    plain = await api.post("/v1/completions", {"prompt": "The quick", "max_tokens": 5, "temperature": 0})
    assert (found["status"], found["version"]) == ("completed", "000001")
    assert found["outputs"] == [plain.json()["choices"][0]["text"]] * 2
    assert (found["steps"], len(found["eos_terminated"])) == (10, 2)


async def test_a_seed_is_kept_to_and_a_wait_answers_at_once(api: Api) -> None:
    asked = {"prompt_text": "a", "max_new_tokens": 4, "seed": 5}
    first, again = [await api.post("/runs/first/generate?wait=30", asked) for _ in range(2)]
    assert first.status_code == again.status_code == 200
    assert first.json()["outputs"] == again.json()["outputs"]


async def test_a_score_is_that_of_the_model(api: Api) -> None:
    text = "The quick brown fox jumps over the lazy dog. "
    plain = (await api.post("/v1/score", {"text": text, "top_k": 2})).json()
    detailed = {"text": text, "detail_level": "per_char", "top_k": 2}
    found = (await api.post("/runs/first/score?wait=30", detailed)).json()
    assert found["surprisal"] == pytest.approx(plain["surprisal"], abs=1e-4)
    assert found["loss"] == pytest.approx(plain["loss"], abs=1e-4)
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["tokens"] == plain["tokens"]
    assert [len(top) for top in found["topk"]] == [2] * len(found["tokens"])
    summary = (await api.post("/runs/first/score?wait=30", {"text": text})).json()
    assert summary["loss"] == pytest.approx(found["loss"], abs=1e-4)
    assert (summary["surprisal"], summary["tokens"], summary["topk"]) == (None, None, None)


async def test_a_text_beyond_the_context_is_scored_in_windows(api: Api) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 120
    (api.paths.state / "corpus/long.txt").write_text(text)
    found = (await api.post("/runs/first/score?wait=60", {"path": "long.txt", "detail_level": "per_char"})).json()
    assert "".join(found["tokens"]) == text
    assert len(found["tokens"]) > 1024
    model = api.made.service.slots.get(1)
    ids = model.tokenizer.encode(text)
    (start, new, end) = list(windows(len(ids), 1023))[1]
    with torch.inference_mode():
        tokens = torch.tensor([[model.tokenizer.special(BOS), *ids[start:end]]])
        hidden = model.model.hidden(tokens, torch.arange(tokens.shape[1])[None], torch.zeros_like(tokens))
        scores = torch.log_softmax(model.model.logits(hidden[0]), -1)
    expected = -float(scores[new - start, ids[new]])
    assert found["surprisal"][new] == pytest.approx(expected, abs=1e-3)


def test_windows_leave_nothing_out() -> None:
    for length in range(1, 60):
        for size in range(2, 20):
            parts = list(windows(length, size))
            assert [place for _, new, end in parts for place in range(new, end)] == list(range(length))
            assert all(end - first <= size for first, _, end in parts)
            assert all(new - first >= min(size // 2, new) for first, new, _ in parts[1:])


async def test_errors_have_the_documented_shape(api: Api) -> None:
    for path, body, status, code in (
        ("/runs/nobody/generate", {"prompt_text": "a"}, 404, "NOT_FOUND"),
        ("/runs/first/generate", {}, 422, "INVALID_INPUT"),
        ("/runs/first/generate", {"prompt_text": "a", "prompt_path": "b"}, 422, "INVALID_INPUT"),
        ("/runs/first/generate", {"prompt_text": "a", "max_new_tokens": 513}, 422, "INVALID_INPUT"),
        ("/runs/first/generate", {"prompt_text": "a", "num_return_sequences": 11}, 422, "INVALID_INPUT"),
        ("/runs/first/score", {"text": "a", "detail_level": "all"}, 422, "INVALID_INPUT"),
        ("/runs/first/score?wait=soon", {"text": "a"}, 422, "INVALID_INPUT"),
        ("/runs/first/generate", {"prompt_path": "/etc/passwd"}, 403, "FORBIDDEN"),
        ("/runs/first/generate", {"prompt_path": "missing.txt"}, 404, "NOT_FOUND"),
    ):
        answer = await api.post(path, body, headers={"x-request-id": "abc-1"})
        assert answer.status_code == status, (path, body, answer.text)
        assert answer.json() | {"message": ""} == {"code": code, "message": "", "request_id": "abc-1"}
        assert answer.headers["x-request-id"] == "abc-1"
    assert len((await api.get("/runs/first/score/req-000099")).json()["request_id"]) == 36


async def test_a_run_without_a_version_cannot_be_asked(api: Api) -> None:
    api.jobs.trained("young", version=None, state="running")
    api.jobs.trained("failed", version=None, state="failed", error="the loss diverged")
    api.jobs.trained("old", version="000007")
    for run, code in (("young", "RUN_NOT_COMPLETED"), ("failed", "RUN_WITHOUT_VERSION"), ("old", "VERSION_REMOVED")):
        answer = await api.post(f"/runs/{run}/generate", {"prompt_text": "a"})
        assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_versions_may_be_named_as_models_are(api: Api) -> None:
    for name in ("thor", "thor@000001"):
        found = await api.post(f"/runs/{name}/score?wait=30", {"text": "abc"})
        assert found.json()["version"] == "000001"
        request = found.json()["request_id"]
        assert (await api.get(f"/runs/{name}/score/{request}")).json()["status"] == "completed"
        assert (await api.get(f"/runs/first/score/{request}")).status_code == 404


async def test_an_idempotency_key_gives_one_job(api: Api) -> None:
    asked, key = {"prompt_text": "a", "max_new_tokens": 2}, {"idempotency-key": "k1"}
    first = await api.post("/runs/first/generate?wait=30", asked, headers=key)
    again = await api.post("/runs/first/generate?wait=30", asked, headers=key)
    other = await api.post("/runs/first/generate", {"prompt_text": "b"}, headers=key)
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_CONFLICT")
    chat = [
        await api.post("/runs/first/chat?wait=30", {"message": "a", "max_new_tokens": 2}, headers=key) for _ in "12"
    ]
    assert chat[0].json() == chat[1].json()


async def test_a_job_waits_for_room_and_others_go_on(api: Api) -> None:
    api.publish(2)
    api.jobs.trained("second", version="000002")
    api.guests.full = True
    waiting = await api.post("/runs/second/generate?wait=0.3", {"prompt_text": "a"})
    done = await api.post("/runs/first/generate?wait=30", {"prompt_text": "a", "max_new_tokens": 2})
    assert (waiting.json()["status"], done.json()["status"]) == ("queued", "completed")
    api.guests.full = False
    api.guests.serving.add(2)
    await asyncio.sleep(0)
    assert api.jobs.rows[max(api.jobs.rows) - 1]["state"] == "queued", "it was not claimed while it waited"


async def test_without_a_supervisor_there_is_a_503_that_says_when_to_come_again(api: Api) -> None:
    api.jobs.away = True
    answer = await api.post("/runs/first/generate", {"prompt_text": "a"})
    assert (answer.status_code, answer.json()["code"]) == (503, "SUPERVISOR_AWAY")
