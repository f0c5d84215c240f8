"""Settings: who wins, and what a person is told about every mistake at once."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.settings import profiles
from daemon.settings.load import SettingsError, load
from daemon.settings.reload import changes
from daemon.settings.sections import Tables

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in [name for name in os.environ if name.startswith("THORD")]:
        monkeypatch.delenv(name)
    return at_home(tmp_path)


def test_each_source_wins_over_the_ones_before_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.config.write_text('profile = "tiny"\n[training]\nlearning_rate = 0.5\nbatch_size = 3\nepochs = 7\n')
    monkeypatch.setenv("THORD__TRAINING__BATCH_SIZE", "5")
    monkeypatch.setenv("THORD__TRAINING__EPOCHS", "6")
    loaded = load(paths, overrides=["training.epochs=2.5"])
    training = loaded.tables.training
    assert loaded.tables.model.preset == "tiny"  # the profile over the default
    assert (training.learning_rate, training.batch_size, training.epochs) == (0.5, 5, 2.5)
    assert loaded.origins["training.epochs"] == "--set training.epochs=2.5"
    assert loaded.origins["training.learning_rate"] == str(paths.config)
    assert loaded.why == f"chosen by {paths.config}"


def test_every_mistake_is_named_with_its_place_key_value_and_remedy(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.config.write_text('[training]\nlerning_rate = 1\nbatch_size = "x"\n[api]\nport = 99999\n[nothing]\na = 1\n')
    monkeypatch.setenv("THORD__MODEL__HEADS", "7")
    with pytest.raises(SettingsError) as caught:
        load(paths, overrides=["gate", 'training.precision="fp8"'])
    text = str(caught.value)
    assert f"{paths.config}: training.lerning_rate: unknown; did you mean learning_rate?" in text
    assert f'{paths.config}: training.batch_size = "x": Input should be a valid integer' in text
    assert f"{paths.config}: api.port = 99999: Input should be less than or equal to 65535" in text
    assert f"{paths.config}: nothing: unknown; known here: api, conversation_log, data" in text
    assert re.search(r"environment THORD__MODEL__HEADS: hidden .* must be a multiple of heads \(7\)", text)
    assert "--set gate: expected section.key=value" in text
    assert "'auto', 'fp32', 'bf16' or 'fp16'" in text
    assert len(caught.value.faults) == 7


@pytest.mark.parametrize("folder", ["chats", "", "./chats", "~no-such-user/chats", "/a\\u0000b"])
def test_a_folder_to_watch_is_somewhere_wherever_thord_was_started(paths: Paths, folder: str) -> None:
    paths.config.write_text(f'[paths]\nwatch = ["~/chats", "{folder}"]\n')
    with pytest.raises(SettingsError, match=rf"{paths.config}: paths.watch: '.*(not an absolute path|does not exist)"):
        load(paths)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "batch_size = 3\n[training.distributed]\nprocesses = 2",
            r"batch_size x gradient_accumulation \(3\), must be a multiple",
        ),
        (
            'optimizer = "adamw8bit"\n[training.distributed]\nprocesses = 2\nstrategy = "fsdp"',
            "which fsdp cannot shard",
        ),
        ("[training.distributed]\nhosts = 2", "needs rendezvous"),
    ],
)
def test_what_processes_cannot_do_together_is_refused(paths: Paths, table: str, said: str) -> None:
    paths.config.write_text(f"[training]\n{table}\n")
    with pytest.raises(SettingsError, match=said):
        load(paths)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"[training\n", "not valid TOML"),
        (b"a = 1\n[paths]\n#watch = []\n[paths]\nwatch = []\n", "[paths] in line 4 repeats line 2"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b'profile = "huge"\n', "no such profile; known: a"),
        (b"training = 3\n", "training = 3"),
        (b"[data]\nmin_conversations = 500\nmax_conversations_per_cycle = 100\n", "no cycle could ever run"),
        (b"[training]\nsequence_length = 9999\n", "larger than the context of the model"),
        (b'[model]\nfamily = "agiformer"\n', 'set tokenizer.kind to "bytes"'),
        (b'[model]\npreset = "124m"\n', "family 'thor' has no preset '124m'; it has tiny, small"),
        (b'[model]\nfamily = "gpt2"\nkv_heads = 2\n', "family 'gpt2' does not know kv_heads; it knows hidden, layers"),
        (b"[training]\nlearning_rate = nan\n", "learning_rate"),
        (b"[training]\nbatch_size = true\n", "batch_size"),
        (b'[training.distributed]\nrendezvous = "10.0.0.1:99999"\n', "is not an address and port, such as"),
        (b'[training.distributed]\nrendezvous = "10.0.0.1"\n', "is not an address and port, such as"),
        (b"[training]\nbatch_size = 1979-05-27\n", "batch_size"),
    ],
)
def test_a_broken_file_is_one_clear_fault(paths: Paths, written: bytes, said: str) -> None:
    paths.config.write_bytes(written)
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load(paths)
    assert str(paths.config) in str(caught.value)


def test_an_unreadable_file_is_named(paths: Paths) -> None:
    paths.config.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load(paths)


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_is_valid_and_builds_on_defaults(paths: Paths, name: str) -> None:
    assert load(paths, profile=name).profile == name


def test_another_family_leaves_out_what_the_profile_says_of_its_own(paths: Paths) -> None:
    paths.config.write_text('profile = "gpu-16gb"\n[model]\nfamily = "gpt2"\n')
    tables = load(paths, overrides=["training.sequence_length=1024"]).tables
    assert (tables.model.preset, tables.tokenizer.vocabulary) == (None, 32_768)
    paths.config.write_text('profile = "gpu-16gb"\n[model]\nfamily = "thor"\n')
    assert load(paths).tables.model.preset == "xl"


def test_a_profile_is_chosen_and_the_choice_explained(paths: Paths) -> None:
    loaded = load(paths)
    assert loaded.profile in profiles.names()
    assert "GPU" in loaded.why


def test_reload_tells_what_applies_from_what_needs_a_restart() -> None:
    old = Tables()
    inference = {"max_batch": 2, "max_queue": 9}
    new = Tables.model_validate(
        {"api": {"port": 9, "max_body_megabytes": 9}, "gate": {"bootstrap_resamples": 5}, "inference": inference}
    )
    found = changes(old, new)
    assert found.applied == ("api.max_body_megabytes", "gate.bootstrap_resamples", "inference.max_queue")
    assert found.needs_restart == {"api.port": "thorctl restart", "inference.max_batch": "thorctl restart server"}


def test_thord_toml_lists_every_setting_at_its_default(paths: Paths) -> None:
    text = (REPOSITORY / "etc/thord.toml").read_text()
    uncommented = re.sub(r"^#(?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    known = {
        (table, key)
        for table, values in tomllib.loads(uncommented).items()
        if table != "profile"
        for key in values
        if key != "NAME"  # stands for any name
    }
    defaults = Tables().model_dump()
    assert known == {(table, key) for table, values in defaults.items() if table != "profile" for key in values}
    paths.config.write_text(text)
    assert load(paths, profile="tiny").tables == load(at_home(paths.state / "elsewhere"), profile="tiny").tables


@pytest.mark.parametrize("file", ["etc/thord.toml", "docs/settings.md"])
def test_generated_files_are_up_to_date(file: str) -> None:
    command = [sys.executable, "-m", "daemon.settings.reference", file]
    generated = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    assert (REPOSITORY / file).read_text() == generated, f"run `make docs`: {file} is older than the settings"


def test_a_step_of_more_rows_than_can_be_listed_is_refused(paths: Paths) -> None:
    """The trainer would list them for hours, and take all memory, before it noticed."""
    with pytest.raises(SettingsError, match=r"training.batch_size.*batch_size x gradient_accumulation \(1000000000\)"):
        load(paths, overrides=["training.batch_size=1_000_000", "training.gradient_accumulation=1_000"])
    assert load(paths, overrides=["training.batch_size=65536"]).tables.training.batch_size == 65536


@pytest.mark.parametrize("folder", ["kept", "~/kept"])
def test_checkpoints_lie_in_the_same_place_wherever_thord_is_started(paths: Paths, folder: str) -> None:
    with pytest.raises(SettingsError, match=f"training.checkpoint_folder: '{folder}' is not an absolute path"):
        load(paths, overrides=[f"training.checkpoint_folder={folder}"])
