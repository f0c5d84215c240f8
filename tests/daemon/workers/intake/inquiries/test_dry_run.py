"""What files would be taken for, found without a ledger, a service or a home."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from daemon.settings.sections import Tables
from daemon.workers.intake.inquiries import dry_run
from engine.tokenizers.bytes import ByteTokenizer

RECORDS = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
    {"prompt": "Which?", "chosen": "this", "rejected": "that"},
    {"text": "Once upon a time."},
]


def test_every_kind_is_counted_and_the_first_sample_is_rendered(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS) + "not JSON\n")
    (report,) = dry_run.read(file, "mixed.jsonl", Tables(), is_corpus=False, with_samples=True)
    entry = report.to_json(ByteTokenizer())
    samples = entry.pop("samples")
    refused = entry.pop("refused")
    assert entry == {
        "file": "mixed.jsonl",
        "format": "lines",
        "conversations": 2,
        "turns": 4,
        "texts": 1,
        "preferences": 1,
        "labelled": 0,
        "held": 1,
        "refused_records": 1,
        "rendered": [["<|bos|><|user|>Hi<|end|><|assistant|>", False], ["Hello<|end|>", True]],
    }
    assert [sample["kind"] for sample in samples] == ["dialogue", "dialogue", "preference", "text"]
    assert samples[2] == {
        "kind": "preference",
        "prompt": [{"role": "user", "content": "Which?", "weight": 1}],
        "answers": [{"content": "this", "rank": 1}, {"content": "that", "rank": 2}],
    }
    assert [record["line"] for record in refused] == [4]


def test_an_archive_has_an_entry_for_each_member(tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("talk.jsonl", json.dumps(RECORDS[0]) + "\n")
        archive.writestr("deep/more.jsonl.gz", gzip.compress(json.dumps(RECORDS[2]).encode()))
        archive.writestr("picture.png", b"\x89PNG\r\n\x1a\n\0\0")
    reports = dry_run.read(file, "export.zip", Tables(), is_corpus=False, with_samples=False)
    entries = {entry["file"]: entry for entry in (report.to_json(None) for report in reports)}
    assert entries.keys() == {"export.zip/talk.jsonl", "export.zip/deep/more.jsonl.gz", "export.zip/picture.png"}
    assert [entries["export.zip/talk.jsonl"][name] for name in ("format", "conversations")] == ["lines", 1]
    assert entries["export.zip/deep/more.jsonl.gz"]["texts"] == 1
    assert entries["export.zip/picture.png"]["refused_records"] == 1


@pytest.mark.parametrize("name", ["folder", "gone"])
def test_what_is_not_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (report,) = dry_run.read(tmp_path / name, name, Tables(), is_corpus=False, with_samples=False)
    assert report.to_json(None)["refused_records"] == 1
