"""Chats with runs: turns, history, and what a job finds that is tried again after a crash."""

import pytest

from tests.daemon.workers.server.api.runs.conftest import Api

pytestmark = pytest.mark.anyio
SHORT = {"max_new_tokens": 3, "temperature": 0}


async def test_a_chat_goes_on_where_it_was(api: Api) -> None:
    first = (await api.post("/runs/first/chat?wait=30", {"message": "hello", **SHORT})).json()
    session = first["session_id"]
    second = (await api.post("/runs/first/chat?wait=30", {"message": "more", "session_id": session, **SHORT})).json()
    history = (await api.get(f"/runs/first/chat/{session}")).json()
    assert (first["status"], history["run_id"], history["session_id"]) == ("completed", "first", session)
    assert history["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": first["response"]},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": second["response"]},
    ]
    polled = await api.get(f"/runs/first/chat/{session}/{second['request_id']}")
    assert polled.json() == second
    assert (await api.client.delete(f"/runs/first/chat/{session}")).status_code == 200
    assert (await api.get(f"/runs/first/chat/{session}")).status_code == 404
    assert (await api.client.delete(f"/runs/first/chat/{session}")).json()["code"] == "NOT_FOUND"


async def test_chats_of_runs_are_apart(api: Api) -> None:
    api.jobs.trained("other")
    await api.post("/runs/first/chat?wait=30", {"message": "hello", "session_id": "ann", **SHORT})
    assert (await api.get("/runs/other/chat/ann")).status_code == 404


async def test_a_turn_that_is_tried_again_is_there_once(api: Api) -> None:
    first = (await api.post("/runs/first/chat?wait=30", {"message": "hello", "session_id": "ann", **SHORT})).json()
    number = max(api.jobs.rows)
    row = api.jobs.rows[number]
    row.update(result=None)
    api.jobs.put_back(number)
    api.made.runs.runner.take(row)
    again = (await api.get(f"/runs/first/chat/ann/{first['request_id']}?wait=30")).json()
    assert again == first
    assert len((await api.get("/runs/first/chat/ann")).json()["messages"]) == 2
