"""The image, built by Buildah and started as itself: ``make image-check``. Skips, and says so, where that cannot be.

``THORD_IMAGE`` names an image that is built already; ``THORD_IMAGE_BASE`` the base to build on, where the one of the
Containerfile cannot be fetched, and ``THORD_IMAGE_VOLUMES`` folders that pip needs, as ``FROM:TO:ro``, with spaces
between them.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from demo.text import standard_library, to_json_lines
from tests.e2e.service import FAST, REPOSITORY

BUILDAH = ("buildah", "--storage-driver", "vfs")
SECRET = "correct-horse-battery"
pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]


def buildah(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BUILDAH, *words], check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def image() -> str:
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed: the image is neither built nor started")
    if built := os.environ.get("THORD_IMAGE"):
        return built
    options = ["--isolation", "chroot", "--format", "docker", "-f", "Containerfile", "-t", "thord:test"]
    if base := os.environ.get("THORD_IMAGE_BASE"):
        options += ["--build-arg", f"BASE={base}"]
    for volume in os.environ.get("THORD_IMAGE_VOLUMES", "").split():
        options += ["--volume", volume]
    done = subprocess.run([*BUILDAH, "bud", *options, "."], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode and not base and "FROM" in done.stderr[-4000:] + done.stdout[-4000:]:
        pytest.skip(f"the base image cannot be fetched here; set THORD_IMAGE_BASE: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stderr[-4000:]
    return "localhost/thord:test"


class Container:
    """A container with the environment of compose.yaml and a volume of its own."""

    def __init__(self, image: str, folder: Path) -> None:
        self.name = buildah("from", image).stdout.strip()
        self.volume = folder / "volume"
        self.secrets = folder / "secrets"
        described = json.loads(buildah("inspect", "--type", "image", image).stdout)["Docker"]["config"]
        self.user = str(described["User"])
        self.health = list(described["Healthcheck"]["Test"])
        self.entry = list(described["Entrypoint"])
        assert described["StopSignal"] == "SIGTERM"
        for place in (self.volume, self.secrets):
            place.mkdir()
            os.chown(place, 10001, 0)
        (self.secrets / "api_key").write_text(SECRET)
        compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["thord"]["environment"]
        self.environment = {name: "INFO" if "$" in value else value for name, value in compose.items()}

    def command(self, *words: str) -> list[str]:
        mounts = (f"{self.volume}:/var/lib/thord", f"{self.secrets}:/run/secrets:ro")
        return [
            *(*BUILDAH, "run", "--isolation", "chroot"),
            *(word for mount in mounts for word in ("--volume", mount)),
            *(word for name, value in self.environment.items() for word in ("--env", f"{name}={value}")),
            *(self.name, "--", *words),
        ]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=300)

    @contextlib.contextmanager
    def started(self) -> Iterator[int]:
        """Its own entry point, until it is healthy; stopped by its stop signal. The pid of thord."""
        settings = (word for setting in ("api.port=0", *FAST[1:]) for word in ("--set", setting))
        process = subprocess.Popen(self.command(*self.entry, *settings), stderr=subprocess.PIPE, text=True)
        file = self.volume / "run/thord.pid"

        def is_up() -> bool:
            has_begun = file.exists() and file.read_text() != ""
            return has_begun and self.run(*self.health[1:]).returncode == 0

        try:
            until(lambda: process.poll() is not None or is_up())
            assert process.poll() is None, process.stderr and process.stderr.read()
            pid = int(file.read_text())
            yield pid
            os.kill(pid, signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)


@pytest.fixture
def container(image: str, tmp_path: Path) -> Iterator[Container]:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # its user is not the one that runs the tests
    it = Container(image, tmp_path)
    yield it
    buildah("rm", it.name, check=False)


def test_it_starts_learns_stops_and_starts_again(container: Container) -> None:
    assert container.user == "10001:0"
    assert container.run(*container.health[1:]).returncode != 0  # nothing runs yet
    with container.started() as pid:
        assert Path(f"/proc/{pid}").stat().st_uid == 10001
        configuration = json.loads(container.run("thorctl", "config", "--json").stdout)
        assert SECRET not in json.dumps(configuration)
        kernels = container.run("thorctl", "doctor").stdout
        assert "kernel" in kernels, kernels
        (container.volume / "inbox/chats/talk.jsonl").write_text(to_json_lines(standard_library(160)))
        done = container.run("thorctl", "train", "--wait", "--json")
        assert json.loads(done.stdout)["state"] == "promoted", done.stderr
    with container.started():
        assert json.loads(container.run("thorctl", "status", "--json").stdout)["version"] == "000001"


def test_without_a_key_it_refuses_to_listen(container: Container) -> None:
    container.environment.clear()
    done = container.run(*container.entry)
    assert done.returncode == 2
    assert "SECURITY__API_KEY" in done.stderr
