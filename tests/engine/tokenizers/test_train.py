"""Tokenizers made beforehand: published with their manifest, shown, used instead of training one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.artifacts import ArtifactError
from engine.config.tokenizer import TokenizerSettings
from engine.tokenizers import publish
from engine.tokenizers.train import train

SETTINGS = TokenizerSettings(kind="unigram", vocabulary=450)


@pytest.fixture
def sources(tmp_path: Path):
    folder = tmp_path / "texts"
    folder.mkdir()
    turns = [{"role": "user", "content": "how are you today"}, {"role": "assistant", "content": "thank you, well"}]
    (folder / "chats.jsonl").write_text("".join(json.dumps({"messages": turns}) + "\n" for _ in range(9)))
    (folder / "book.txt").write_text((subprocess.__doc__ or "") * 3)
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    return folder


def test_it_is_published_with_what_it_comes_from(sources, tmp_path: Path) -> None:
    manifest = publish.publish(tmp_path / "words", [sources], SETTINGS)
    assert manifest.vocabulary == 450
    assert {name.rpartition("/")[2] for name in manifest.sources} == {"chats.jsonl", "book.txt", "noise.bin"}
    again = publish.publish(tmp_path / "again", [sources], SETTINGS)
    assert again.model_copy(update={"created_at": manifest.created_at}) == manifest
    shown = publish.show(tmp_path / "words")
    assert (shown["kind"], shown["vocabulary"]) == ("unigram", 450)
    assert shown["sha256"] == manifest.files["tokenizer.json"].sha256


def test_it_is_used_instead_of_training_one(sources, tmp_path: Path) -> None:
    publish.publish(tmp_path / "words", [sources], SETTINGS)
    chosen = SETTINGS.model_copy(update={"folder": str(tmp_path / "words")})
    used = train(chosen, ["something else entirely"])
    assert used.encode("how are you") == publish.load(tmp_path / "words").encode("how are you")
    with pytest.raises(ArtifactError):
        train(chosen.model_copy(update={"kind": "bytes"}), [])


def test_what_cannot_be_done_is_said(sources, tmp_path: Path) -> None:
    (sources / "chats.jsonl").unlink()
    (sources / "book.txt").unlink()
    with pytest.raises(ArtifactError, match="no text to learn from"):
        publish.publish(tmp_path / "words", [sources], SETTINGS)
    with pytest.raises(ArtifactError, match="neither a tokenizer nor a version"):
        publish.show(tmp_path)
    with pytest.raises(ArtifactError, match="exists already"):
        publish.publish(tmp_path, [sources], SETTINGS)


def test_as_a_command_it_prints_json_and_names_wrong_settings(sources, tmp_path: Path) -> None:
    def run(*words):
        command = [sys.executable, "-m", "engine.tokenizers", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("train", tmp_path / "words", sources, "--settings", '{"kind": "bytes"}')
    assert json.loads(done.stdout) == {"kind": "bytes", "vocabulary": 264}
    assert json.loads(run("show", tmp_path / "words").stdout)["kind"] == "bytes"
    wrong = run("train", tmp_path / "other", sources, "--settings", '{"vocabulary": 3, "speed": 1}')
    assert wrong.returncode == 2
    assert "vocabulary" in wrong.stderr
    assert "speed" in wrong.stderr
