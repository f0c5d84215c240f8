"""Uploads to each kind of place: what arrives there, and that nothing counts which was not read back."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.settings.integrations import DataBankSettings
from daemon.settings.retention import UploadSettings
from daemon.uploads import data_bank, record
from daemon.uploads.__main__ import carry_out
from daemon.uploads.data_bank import DataBank
from daemon.uploads.order import Order
from daemon.uploads.place import UploadError, compare
from daemon.uploads.record import Upload, UploadRecord
from engine.data import cached_corpus
from tests.daemon.uploads.bank import Bank, serving

CONTENT = {"model.safetensors": b"weights" * 1000, "eval/metrics.json": b"{}", "manifest.json": b'{"a": 1}'}


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "run 1"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / ".trash").write_bytes(b"no")
    return folder


@pytest.fixture
def bank() -> Iterator[Bank]:
    with serving() as it:
        yield it


def order(place: str, folder: Path, **given: object) -> Order:
    return Order.model_validate({"place": place, "name": "run-1", "folder": folder, "verify": True, **given})


def test_a_folder_has_the_same_files(artifacts: Path, tmp_path: Path) -> None:
    target = tmp_path / "archive"
    refused = carry_out(order(str(target), artifacts))
    assert refused.error == f"{target} is not a folder: make it, or mount the disk"
    target.mkdir()
    done = carry_out(order(str(target), artifacts))
    assert done.error is None
    assert done.verified
    assert done.sums == {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    found = {
        path.relative_to(target / "run-1").as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert found == CONTENT


def test_an_object_store_has_the_same_files(artifacts: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="the extra 'uploads' is not installed: object stores are not tested")
    done = carry_out(order(f"file://{tmp_path}/bucket", artifacts))
    assert done.error is None
    assert (tmp_path / "bucket/run-1/eval/metrics.json").read_bytes() == b"{}"
    assert "nothing of that kind" not in (carry_out(order("nonsense://x", artifacts)).error or "")
    assert carry_out(order("nonsense://x", artifacts)).error is not None


def test_a_data_bank_has_the_same_files_and_a_list_of_them(artifacts: Path, bank: Bank) -> None:
    bank.key = "swordfish"
    refused = carry_out(order("data-bank", artifacts, bank=bank.url))
    assert "answers 401 to POST /files" in str(refused.error)
    done = carry_out(order("data-bank", artifacts, bank=bank.url, bank_key="swordfish"))
    assert done.error is None
    listing = json.loads(bank.files[done.address.rsplit("/", 1)[1]])
    assert {name: bank.files[file_id] for name, file_id in listing.items()} == CONTENT


def test_bytes_that_come_back_otherwise_are_no_upload(artifacts: Path, bank: Bank) -> None:
    bank.spoil = True
    done = carry_out(order("data-bank", artifacts, bank=bank.url))
    assert not done.verified
    assert "the sums differ, or the files are missing: eval/metrics.json, manifest.json, model.safetensors" in str(
        done.error
    )
    with pytest.raises(UploadError, match="missing: a"):
        compare({"a": "1"}, {}, "there")


def test_a_corpus_is_fetched_once_and_checked(tmp_path: Path, bank: Bank) -> None:
    stored = DataBank(bank.url).send(_written(tmp_path / "book.txt", b"once upon a time"))
    client = DataBank(bank.url)
    bank.spoil = True
    with pytest.raises(UploadError, match=f"file {stored.file_id} of the data bank has sha256"):
        client.fetch(stored.file_id, tmp_path / "corpora")
    assert not list((tmp_path / "corpora").glob("[!.]*"))
    bank.spoil = False
    file = client.fetch(stored.file_id, tmp_path / "corpora")
    assert file.read_bytes() == b"once upon a time"
    bank.files.clear()
    assert client.fetch(stored.file_id, tmp_path / "corpora") == file
    assert cached_corpus.last_used(file) >= file.stat().st_mtime
    with pytest.raises(UploadError, match="not the id of a file"):
        client.fetch("../passwd", tmp_path / "corpora")
    with pytest.raises(UploadError, match="answers 404"):
        client.fetch("0" * 64, tmp_path / "corpora")
    with pytest.raises(UploadError, match="is not the id"):
        client.fetch("a" * 300, tmp_path / "corpora")


def test_two_who_fetch_the_same_corpus_at_once_both_have_it(tmp_path: Path, bank: Bank) -> None:
    stored = DataBank(bank.url).send(_written(tmp_path / "book.txt", b"once upon a time"))
    both_write = threading.Barrier(2)

    def fetch() -> bytes:
        return DataBank(bank.url).fetch(stored.file_id, tmp_path / "corpora", lambda: both_write.wait(10)).read_bytes()

    with ThreadPoolExecutor(2) as threads:
        found = [each.result() for each in [threads.submit(fetch) for _ in range(2)]]
    assert found == [b"once upon a time"] * 2
    assert len(list((tmp_path / "corpora").glob(".tmp-*"))) == 0


def test_the_key_is_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    paths.run.mkdir()
    data_bank.write_key(paths.data_bank_key_file, "swordfish")
    assert paths.data_bank_key_file.stat().st_mode & 0o777 == 0o600
    assert data_bank.key(DataBankSettings(), paths) == "swordfish"
    named = _written(tmp_path / "key", b"other\n")
    assert data_bank.key(DataBankSettings(key_file=str(named)), paths) == "other"
    with pytest.raises(UploadError, match="cannot be read"):
        data_bank.key(DataBankSettings(key_file="/nowhere"), paths)
    data_bank.write_key(paths.data_bank_key_file, None)
    assert data_bank.key(DataBankSettings(), paths) is None
    assert data_bank.of(DataBankSettings(), paths) is None


def test_a_run_counts_as_uploaded_when_it_is_in_every_place(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    here = Upload(at="2026-01-01T00:00:00Z", verified=True, address="/a/run-1")
    there = Upload(at="2026-01-01T01:00:00Z", verified=False, address="s3://b/run-1")
    record.write(paths, UploadRecord(run="run-1", sums={}, places={"/a": here, "s3://b": there}))
    assert record.uploaded(paths, UploadSettings()) == {}
    assert record.uploaded(paths, UploadSettings(to=("/a",)))["run-1"] == ("/a/run-1", 1767225600.0)
    assert record.uploaded(paths, UploadSettings(to=("/a", "s3://b"))) == {}
    both = record.uploaded(paths, UploadSettings(to=("/a", "s3://b"), verify=False))
    assert both["run-1"] == ("/a/run-1, s3://b/run-1", 1767229200.0)
    assert record.uploaded(paths, UploadSettings(to=("/a", "/c"))) == {}


def test_the_process_ends_with_whoever_asked(artifacts: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon.uploads"],
        input=order(str(tmp_path), artifacts).model_dump_json() + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1)  # its input ends at once here: it may be done by then


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
