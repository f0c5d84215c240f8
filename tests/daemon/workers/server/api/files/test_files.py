"""Files, with the unmodified client of OpenAI: kept, told, given back, deleted, and refused where they are too much."""

import asyncio
import hashlib
import json
from pathlib import Path

import openai
import pytest
from starlette.types import Message

from daemon.settings.sections import Tables
from daemon.workers.server.files.checker import UncheckableError, in_a_process
from daemon.workers.server.files.findings import Findings
from tests.daemon.workers.server.api.without_model import CHAT, MakeApi

pytestmark = pytest.mark.anyio
GOOD = "".join(CHAT % number for number in range(3)).encode()
BAD = GOOD + b'{"messages": "none"}\n'


def left(folder: Path) -> list[str]:
    """Files and drafts of files on disk."""
    return sorted(each.name for each in folder.glob("*/*") if each.is_dir())


async def test_a_file_is_kept_checked_given_back_and_deleted(make_api: MakeApi, tmp_path: Path) -> None:
    api = make_api()
    client = api.openai("alice")
    made = await client.files.create(file=("talk.jsonl", GOOD), purpose="fine-tune")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(GOOD), "talk.jsonl", "fine-tune")
    done = await client.files.wait_for_processing(made.id, poll_interval=0.01)
    assert (done.status, done.status_details) == ("processed", None)
    assert done.model_extra["samples"] == {"dialogue": 3}
    assert done.model_extra["sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert (await client.files.content(made.id)).content == GOOD
    assert [each.id async for each in client.files.list()] == [made.id]
    deleted = await client.files.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "file")
    with pytest.raises(openai.NotFoundError) as missing:
        await client.files.retrieve(made.id)
    assert missing.value.code == "file_not_found"
    assert left(tmp_path / "files") == []


async def test_a_file_that_cannot_be_learned_says_where_and_why(make_api: MakeApi) -> None:
    client = make_api().openai("alice")
    bad = await client.files.create(file=("bad.jsonl", BAD), purpose="fine-tune")
    empty = await client.files.create(file=("empty.jsonl", b""), purpose="fine-tune")
    found = await client.files.wait_for_processing(bad.id, poll_interval=0.01)
    assert found.status == "error"
    assert "line 4" in found.status_details
    assert (await client.files.wait_for_processing(empty.id, poll_interval=0.01)).status_details == (
        "the file holds nothing to learn"
    )
    plain = await client.files.create(file=("notes.bin", b"\0\1"), purpose="user_data")
    assert plain.status == "processed", "nothing is learned from it, so nothing is checked"


async def test_files_of_others_do_not_exist(make_api: MakeApi) -> None:
    api = make_api()
    made = await api.openai("alice").files.create(file=("a.jsonl", GOOD), purpose="fine-tune")
    bob = api.openai("bob")
    assert [each async for each in bob.files.list()] == []
    for asked in (bob.files.retrieve, bob.files.content, bob.files.delete):
        with pytest.raises(openai.NotFoundError):
            await asked(made.id)
    with pytest.raises(openai.PermissionDeniedError) as denied:
        await api.openai("reader").files.list()
    assert "'train'" in denied.value.message


async def test_lists_come_in_pages(make_api: MakeApi) -> None:
    client = make_api().openai("alice")
    made = [(await client.files.create(file=(f"{n}", GOOD), purpose="user_data")).id for n in range(5)]
    first = await client.files.list(limit=2)
    assert [each.id for each in first.data] == made[:2:-1]
    assert first.has_more
    assert [each.id async for each in client.files.list(limit=2)] == made[::-1]
    assert [each.id async for each in client.files.list(limit=2, order="asc")] == made
    assert [each.id async for each in client.files.list(purpose="fine-tune")] == []
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"after": "file-none"}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.files.list(**wrong)
        assert refused.value.param == next(iter(wrong))


async def test_what_is_too_much_is_refused_and_leaves_nothing(make_api: MakeApi, tmp_path: Path) -> None:
    client = make_api(max_file_megabytes=1, max_megabytes_per_client=1, max_per_client=2).openai("alice")
    with pytest.raises(openai.APIStatusError) as large:
        await client.files.create(file=b"x" * ((1 << 20) + 1), purpose="user_data")
    assert (large.value.status_code, large.value.code) == (413, "file_too_large")
    kept = await client.files.create(file=b"x" * 600_000, purpose="user_data")
    with pytest.raises(openai.APIStatusError) as quota:
        await client.files.create(file=b"x" * 600_000, purpose="user_data")
    assert (quota.value.status_code, quota.value.code) == (413, "quota_exceeded")
    more = await client.files.create(file=b"x", purpose="user_data")
    with pytest.raises(openai.BadRequestError) as many:
        await client.files.create(file=b"x", purpose="user_data")
    assert many.value.code == "too_many_files"
    assert left(tmp_path / "files") == [kept.id, more.id]


async def test_uploads_at_once_share_the_quota(make_api: MakeApi) -> None:
    client = make_api(max_megabytes_per_client=1).openai("alice")
    sent = [client.files.create(file=b"x" * 600_000, purpose="user_data") for _ in range(4)]
    done = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in done) <= 1
    assert all(each.code == "quota_exceeded" for each in done if isinstance(each, openai.APIStatusError))


@pytest.mark.parametrize("purpose", ["batch", "assistants", "vision", "", "fine-tune-results"])
async def test_purposes_that_lead_nowhere_are_refused(make_api: MakeApi, tmp_path: Path, purpose: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await make_api().openai("alice").files.create(file=GOOD, purpose=purpose)
    assert refused.value.param == "purpose"
    assert left(tmp_path / "files") == []


async def test_a_file_expires(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = make_api().openai("alice")
    for wrong in (3599, 2_592_001):
        with pytest.raises(openai.BadRequestError):
            await client.files.create(
                file=GOOD, purpose="user_data", expires_after={"anchor": "created_at", "seconds": wrong}
            )
    life = {"anchor": "created_at", "seconds": 3600}
    made = await client.files.create(file=GOOD, purpose="user_data", expires_after=life)
    assert made.expires_at == made.created_at + 3600
    monkeypatch.setattr("time.time", lambda: made.created_at + 3601.0)
    assert [each async for each in client.files.list()] == []
    assert left(tmp_path / "files") == []


FORM = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
END = b"--b--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "param"),
    [
        ("application/json", b"{}", 400, None),
        ("multipart/form-data", FORM, 400, None),
        (f"multipart/form-data; boundary={'b' * 300}", FORM, 400, None),
        ("multipart/form-data; boundary=b", b"", 400, None),
        ("multipart/form-data; boundary=b", b"nothing", 400, None),
        ("multipart/form-data; boundary=b", FORM, 400, None),
        ("multipart/form-data; boundary=b", FORM + END, 400, "file"),
        ("multipart/form-data; boundary=b", FILE % (b"a", b"x") + END, 400, "purpose"),
        ("multipart/form-data; boundary=b", FORM + FILE % (b"a", b"cut"), 400, None),
        ("multipart/form-data; boundary=b", FORM + FILE % (b"a", b"x") * 2 + END, 400, "file"),
        ("multipart/form-data; boundary=b", FORM * 2 + FILE % (b"a", b"x") + END, 400, "purpose"),
        ("multipart/form-data; boundary=b", FORM.replace(b"user_data", b"x" * 5000) + END, 400, None),
        ("multipart/form-data; boundary=b", FORM.replace(b"purpose", b"p%d") * 17 + END, 400, None),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"x" * 100_000 + b"\r\n\r\n\r\n" + END, 400, None),
    ],
)
async def test_what_is_no_form_is_a_400_and_leaves_nothing(
    make_api: MakeApi, tmp_path: Path, content_type: str, body: bytes, status: int, param: str | None
) -> None:
    async with make_api().http("alice") as client:
        answer = await client.post("/v1/files", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert left(tmp_path / "files") == []


async def test_names_of_files_are_never_paths(make_api: MakeApi, tmp_path: Path) -> None:
    names = {b"../../../etc/passwd": "passwd", b"C:\\\\x\\\\a.jsonl": "a.jsonl", "ä\u202e.jsonl".encode(): "ä_.jsonl"}
    async with make_api().http("alice") as client:
        for given, kept in {**names, b"": "upload"}.items():
            body = FORM + FILE % (given, b"x") + END
            headers = {"content-type": "multipart/form-data; boundary=b"}
            made = (await client.post("/v1/files", content=body, headers=headers)).json()
            assert made["filename"] == kept
            told = (await client.get(f"/v1/files/{made['id']}/content")).headers["content-disposition"]
            assert told.startswith("attachment")
        for name in ("..%2f..%2fkeys", "%2e%2e", "file-a%2fb", "file-a%00/content"):
            assert (await client.get(f"/v1/files/{name}")).status_code == 404
    assert len(left(tmp_path / "files")) == 4


async def test_fields_that_mean_nothing_are_named(make_api: MakeApi) -> None:
    async with make_api().http("alice") as client:
        body = FORM.replace(b"purpose", b"colour") + FORM + FILE % (b"a", b"x") + END
        headers = {"content-type": "multipart/form-data; boundary=b"}
        made = await client.post("/v1/files", content=body, headers=headers)
        assert made.headers["x-thord-ignored-fields"] == "colour"
        assert (await client.get("/v1/files?colour=red&limit=3")).headers["x-thord-ignored-fields"] == "colour"


async def test_a_client_that_goes_away_leaves_nothing(make_api: MakeApi, tmp_path: Path) -> None:
    part = FORM + (FILE % (b"a", b"x" * 3_000_000))[:2_000_000]
    coming = iter([{"type": "http.request", "body": part, "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"host": "localhost", "authorization": "Bearer alice", "content-type": "multipart/form-data; boundary=b"}
    headers = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/files", "query_string": b"", "headers": headers}
    await make_api().app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert left(tmp_path / "files") == []


async def test_what_a_crash_left_is_removed_and_checked_again(make_api: MakeApi, tmp_path: Path) -> None:
    def killed(file: Path, settings: Tables) -> Findings:
        raise UncheckableError("its reader was killed")

    client = make_api(check=killed).openai("alice")
    made = await client.files.create(file=GOOD, purpose="fine-tune")
    ended = await client.files.wait_for_processing(made.id, poll_interval=0.01)
    assert ended.status_details == "the file cannot be checked: its reader was killed"
    (record,) = (tmp_path / "files").glob("*/*/file.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "status": "uploaded"}))
    (record.parent.parent / ".tmp-left").mkdir()
    again = make_api()
    await again.uploads.begin()
    found = await again.openai("alice").files.wait_for_processing(made.id, poll_interval=0.01)
    assert found.status == "processed"
    assert left(tmp_path / "files") == [made.id]


async def test_the_process_that_checks_reads_as_the_intake_does(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(BAD)
    found = await asyncio.to_thread(in_a_process, tmp_path / "content", Tables())
    assert (found.samples, found.refused) == ({"dialogue": 3}, 1)
    assert found.reasons[0].startswith("line 4: ")
    with pytest.raises(UncheckableError, match="No such file"):
        await asyncio.to_thread(in_a_process, tmp_path / "none", Tables())


async def test_all_of_one_client_is_forgotten(make_api: MakeApi, tmp_path: Path) -> None:
    api = make_api()
    for key in ("alice", "bob"):
        await api.openai(key).files.create(file=GOOD, purpose="user_data")
    for owner in ("", "..", "anybody", hashlib.sha256(b"alice").hexdigest()):
        await api.uploads.store.forget(owner)
    assert [each async for each in api.openai("alice").files.list()] == []
    assert len(left(tmp_path / "files")) == 1
