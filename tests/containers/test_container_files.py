"""The files for containers: hadolint, the schema of Compose, and the rules of docs/containers.md."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daemon.settings.environment.translation import PREFIX
from daemon.settings.environment.variables import BY_NAME
from daemon.settings.sections import Tables

REPOSITORY = Path(__file__).parents[2]
CONTAINERFILE = (REPOSITORY / "Containerfile").read_text()
COMPOSE: dict[str, dict[str, dict[str, object]]] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
FINAL = CONTAINERFILE.split("\nFROM ")[-1]


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: nothing checks the container files with it (make install of dev has it)")
    return found


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [tool("hadolint"), "Containerfile"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_follows_its_schema() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_without_root_shell_or_curl() -> None:
    assert re.search(r"^USER 10001:0$", FINAL, re.MULTILINE)
    assert FINAL.index("chown 10001:0") < FINAL.index("\nVOLUME")  # or a named volume would belong to root
    assert 'ENTRYPOINT ["thord"]' in FINAL
    assert re.search(r'^HEALTHCHECK .*--start-period=\S+ .*CMD \["thorctl", "status"\]$', FINAL, re.MULTILINE)
    assert "curl" not in CONTAINERFILE.replace("without curl", "")


def test_kernels_are_not_for_the_machine_that_builds() -> None:
    assert "engine.native.build" in CONTAINERFILE
    sources = [*(REPOSITORY / "engine/native").glob("*.py"), REPOSITORY / "Containerfile"]
    assert not [source for source in sources if "march=native" in source.read_text()]


def test_all_that_is_copied_is_let_in() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE) for name in line.split()
    }
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}


def test_services_are_closed() -> None:
    for name, service in COMPOSE["services"].items():
        assert "privileged" not in service
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        for port in service.get("ports") or []:
            assert str(port).startswith("127.0.0.1:"), name
    assert "ports" not in COMPOSE["services"]["redis"]


def test_no_key_is_in_the_environment_and_every_variable_is_known() -> None:
    for name, service in COMPOSE["services"].items():
        for variable in map(str, dict(service.get("environment") or {})):
            if variable.startswith(PREFIX):
                assert is_setting(variable), variable
            else:
                known = BY_NAME[variable.removesuffix("_FILE")]
                assert variable.endswith("_FILE") or known.use != "secret", name


def is_setting(variable: str) -> bool:
    table: dict[str, object] | object = Tables().model_dump()
    for part in variable.removeprefix(PREFIX).lower().split("__"):
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def test_no_registry_or_index_is_written_down() -> None:
    """Who builds chooses where images and packages come from."""
    for text in (
        CONTAINERFILE,
        (REPOSITORY / "compose.yaml").read_text(),
        (REPOSITORY / "docs/containers.md").read_text(),
    ):
        images = re.findall(r"(?:image:|ARG BASE=|^FROM) *(\S+)", text, re.MULTILINE)
        assert not [image for image in images if "." in image.split("/")[0] and "/" in image]
        assert not re.search(r"docker\.io|ghcr\.io|quay\.io|pypi\.org|download\.pytorch", text)


def test_every_secret_that_a_service_names_is_declared() -> None:
    declared = set(COMPOSE["secrets"])
    for service in COMPOSE["services"].values():
        named = service.get("secrets")
        assert isinstance(named, list)
        assert set(named) <= declared
        files = [
            str(value) for value in dict(service.get("environment") or {}).values() if "/run/secrets/" in str(value)
        ]
        assert {file.rsplit("/", 1)[1] for file in files} <= set(named)


def test_a_stop_has_time_to_drain() -> None:
    for name in ("thord", "thord-cuda", "thord-queue", "worker"):
        assert COMPOSE["services"][name]["stop_grace_period"] == "150s"
