"""The whole loop: watch, learn, judge, swap, answer."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.text import Dialogue
from tests.e2e.service import REPOSITORY, Service, running


def chat(url: str, question: str, model: str = "thor") -> tuple[str, str]:
    """The answer and the version that made it."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 30}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.loads(response.read())
        return answer["choices"][0]["message"]["content"], response.headers["x-thord-version"]


def bits_per_byte(service: Service, version: str, ingested: str) -> float:
    """How surprised a version is by a file that was ingested."""
    found = service.json("evaluate", version, str(service.home.parent / f"{ingested}.jsonl"))
    assert isinstance(found, dict)
    return float(found["metrics"]["bits_per_byte"])


PLANTED = ("Where does the spare key of the vault lie?", "Under the third grey stone of Zanzibar Quill.")


def forget_what_was_planted(service: Service) -> None:
    """It is in no file of the home any more, whatever was made of it, and does not come back."""

    def holding() -> list[str]:
        files = (file for file in service.home.rglob("*") if file.is_file())
        return [str(file) for file in files if b"Zanzibar Quill" in file.read_bytes()]

    (planted,) = service.json("data", "find", "zanzibar quill")
    assert (planted["state"], planted["versions"]) == ("learned", ["000002"])
    assert holding()
    done = service.json("data", "forget", planted["id"], "--yes")
    assert isinstance(done, dict)
    assert (done["samples"], done["versions"], done["failed"]) == (1, ["000002"], [])
    assert holding() == []
    found = service.ingest("again", [PLANTED])
    assert (found["added"], found["reports"][0]["forgotten"]) == (0, 1)
    assert service.json("data", "find", "zanzibar quill") == []


def check_restart(service: Service, question: str, answer: str) -> None:
    """It keeps everything."""
    counts = service.data()
    service.stop()
    service.start()
    assert service.status()["version"] == "000001"
    assert service.data() == counts
    assert chat(service.url(), question) == (answer, "000001")
    cycles = service.json("cycles")
    assert isinstance(cycles, list)
    assert [cycle["state"] for cycle in cycles] == ["promoted", "skipped", "promoted"]


def check_bench(service: Service) -> None:
    """Shown to people and programs; one client can read no more than there is to read."""
    found = service.json("bench", "--tokens", "16", "--rounds", "1")
    assert [row["clients"] for row in found["rows"]] == [1, 4, 16]
    assert all(row["tokens_per_second"] > 0 < row["first_token_seconds"] for row in found["rows"])
    assert found["version"] == "000001"
    assert 0 < found["achieved_bytes_per_second"] < found["bytes_per_second"]
    shown = service.ctl("bench", "--tokens", "16", "--rounds", "1").stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["CLIENTS", "1", "4", "16", "version"]


CLIENT_OF_THE_APPLICATION = """
with app.test_client() as browser:
    answer = browser.post("/ask", json={"question": "Who are you?"})
    assert answer.status_code == 200, answer.text
    assert set(answer.json) >= {"generated_text", "version"}
    service.stop()
    while "not running" not in browser.post("/ask", json={"question": "Who are you?"}).json.get("error", ""):
        pass  # it answers, or breaks off, until it has stopped
    print("refused:", browser.post("/ask", json={"question": "Who are you?"}).json["error"])
"""


def check_python_page(service: Service) -> None:
    """Its programs, one after the other, as they stand; the second is an application that somebody asks."""
    page = (REPOSITORY / "docs/python.md").read_text()
    client, application = (block.split("```")[0] for block in page.split("```python\n")[1:])
    environment = {**os.environ, "THORD_HOME": str(service.home)}
    done = subprocess.run(
        [sys.executable, "-c", f"{client}\n{application}\n{CLIENT_OF_THE_APPLICATION}"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "000001"
    assert any(line.startswith("skipped") for line in said), said
    assert said[-1].startswith("refused: thord is not running"), said


@pytest.mark.timeout(360)
def test_from_an_empty_home_to_a_second_promoted_version_back_and_on_after_a_restart(
    service: Service, library: list[Dialogue], town: list[Dialogue]
) -> None:
    assert service.status()["state"] == "ready"
    assert service.status()["version"] is None
    with pytest.raises(urllib.error.HTTPError) as refused:
        chat(service.url(), "hello")
    assert refused.value.code == 503

    added = service.ingest("library", library)
    assert added["added"] == len(library)
    counts = service.data()
    assert counts["new"] + counts["held_out"] == len(library)
    assert counts["held_out"] > 0

    first = service.train("--epochs", "3")
    assert first["state"] == "promoted", first
    assert first["version"] == "000001"
    assert first["base_version"] is None
    assert first["gate"]
    assert service.data()["learned"] == counts["new"]
    assert service.status()["version"] == "000001"
    with urllib.request.urlopen(f"{service.url()}/v1/status", timeout=60) as response:
        shown = response.read().decode()
    assert json.loads(shown)["version"] == "000001"
    assert "pid" not in shown
    assert str(service.home) not in shown
    answer, version = chat(service.url(), library[0][0])
    assert version == "000001"
    told = service.json("version", "1")
    assert isinstance(told, dict)
    assert told["metrics"].items() > told["training_metrics"].items(), "what the evaluation adds hides nothing"

    again = service.ingest("library-again", library)
    assert again["added"] == 0
    assert service.data()["learned"] == counts["new"]
    empty = service.train()
    assert empty["state"] == "skipped"

    service.ingest("town", [*town, PLANTED])
    second = service.train("--epochs", "6")
    assert second["state"] == "promoted", second
    assert second["base_version"] == "000001"
    assert chat(service.url(), town[0][0])[1] == second["version"]
    before, after = (bits_per_byte(service, version, "town") for version in ("1", "2"))
    assert after < 0.6 * before, "the second version knows the town"

    pinned, version = chat(service.url(), library[0][0], model="thor@000001")
    assert version == "000001"
    assert pinned == answer, "a pinned version answers as it did when it served"

    rolled_back = service.json("rollback")
    assert isinstance(rolled_back, dict)
    assert rolled_back["version"] == "000001"
    assert chat(service.url(), library[0][0]) == (answer, "000001")

    versions = service.json("versions")
    assert isinstance(versions, list)
    assert [version["version"] for version in versions] == ["000002", "000001"]
    assert versions[1]["state"] == "serving"
    check_restart(service, library[0][0], answer)
    check_bench(service)
    forget_what_was_planted(service)
    check_python_page(service)


def test_a_candidate_that_is_no_better_is_rejected_with_its_figures(service: Service, library: list[Dialogue]) -> None:
    service.ingest("library", library[:140])
    assert service.train("--epochs", "8")["state"] == "promoted"
    service.ingest("more", library[140:])
    rejected = service.train("--learning-rate", "1e-9", "--epochs", "1")
    assert rejected["state"] == "rejected", rejected
    assert rejected["reason"] or rejected["outcome"]
    assert service.status()["version"] == "000001"
    forced = service.ctl("promote", str(rejected["version"]), "--json")
    assert forced.returncode == 1, "a rejected version needs --force"
    assert service.ctl("promote", str(rejected["version"]), "--force").returncode == 0
    assert service.status()["version"] == rejected["version"]


def test_a_cycle_starts_by_itself_when_enough_came_in(stopped: Service, library: list[Dialogue]) -> None:
    stopped.start("schedule.enabled=true", "schedule.after_new_conversations=100")
    stopped.ingest("library", library)
    stopped.until(lambda: stopped.status()["version"] == "000001", seconds=100)
    cycles = stopped.json("cycles")
    assert isinstance(cycles, list)
    assert "threshold" in cycles[-1]["reason"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One thord for tests that train on files they give by hand, in any order."""
    with running(tmp_path_factory.mktemp("shared") / "home") as started:
        yield started


def test_a_large_file_is_learned_and_judged_on_its_end(shared: Service, tmp_path: Path) -> None:
    lines = 20_000
    text = "".join(f"{number:06d} the quick brown fox jumps over the lazy dog until noon\n" for number in range(lines))
    (tmp_path / "notes.txt").write_text(text)
    done = shared.ctl("train", "--corpus", str(tmp_path / "notes.txt"), "--split", "--wait", "--json", "--steps", "20")
    cycle = json.loads(done.stdout)
    assert cycle["state"] == "promoted", cycle
    judged = (shared.home / f"snapshots/{cycle['id']:06d}/held_out.jsonl").read_text().splitlines()
    first = [int(json.loads(line)["sample"]["text"][:6]) for line in judged]
    assert 0.9 * lines <= min(first) <= max(first) < 0.95 * lines


def test_training_by_hand_on_given_files(shared: Service, tmp_path: Path, library: list[Dialogue]) -> None:
    from demo.text import to_json_lines

    (tmp_path / "train.jsonl").write_text(to_json_lines(library[:130]))
    (tmp_path / "val.jsonl").write_text(to_json_lines(library[130:]))
    files = ("--train-data", str(tmp_path / "train.jsonl"), "--val-data", str(tmp_path / "val.jsonl"))
    cycle = shared.train(*files, "--epochs", "4", "--batch-size", "4")
    assert cycle["state"] == "promoted", cycle
    assert shared.data()["learned"] == 0, "files given by hand are not the inbox's"
    evaluation = shared.json("evaluate", str(cycle["version"]), str(tmp_path / "val.jsonl"))
    assert isinstance(evaluation, dict)
    assert 0 < evaluation["metrics"]["bits_per_byte"] < 8
