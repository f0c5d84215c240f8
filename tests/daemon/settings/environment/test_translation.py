"""Variables of Model Trainer: what they set, who wins, and what a person is told about those that mean nothing."""

import re
from pathlib import Path

import pytest

from control.env_file import EnvFileError, read
from daemon.settings.environment.translation import translate
from daemon.settings.environment.variables import VARIABLES
from daemon.settings.sections import Tables

DOCUMENTED = (
    "REDIS__URL REDIS__ENABLED RQ__QUEUE_NAME RQ__JOB_TIMEOUT_SEC RQ__RESULT_TTL_SEC RQ__FAILURE_TTL_SEC "
    "RQ__RETRY_MAX RQ__RETRY_INTERVALS_SEC APP__DATA_ROOT APP__ARTIFACTS_ROOT APP__RUNS_ROOT APP__LOGS_ROOT "
    "APP__THREADS APP__TOKENIZER_SAMPLE_MAX_LINES APP__DATA_BANK_API_URL APP__DATA_BANK_API_KEY API_GATEWAY_URL "
    "APP_ENV LOGGING__LEVEL HF_HOME SECURITY__API_KEY WANDB__ENABLED WANDB__PROJECT APP__CLEANUP__ENABLED "
    "APP__CLEANUP__VERIFY_UPLOAD APP__CLEANUP__GRACE_PERIOD_SECONDS APP__CLEANUP__DRY_RUN "
    "APP__CORPUS_CACHE_CLEANUP__ENABLED APP__CORPUS_CACHE_CLEANUP__MAX_BYTES "
    "APP__CORPUS_CACHE_CLEANUP__MIN_FREE_BYTES APP__CORPUS_CACHE_CLEANUP__EVICTION_POLICY "
    "APP__TOKENIZER_CLEANUP__ENABLED APP__TOKENIZER_CLEANUP__MIN_UNUSED_DAYS"
).split()


def settings(environment: dict[str, str], file: dict[str, str] | None = None) -> dict[str, object]:
    said = translate(environment, file or {}, ".env")
    assert said.faults == ()
    return {".".join(location): setting.value for location, setting in said.settings.items()}


def test_every_documented_variable_is_in_the_table() -> None:
    assert set(DOCUMENTED) <= {variable.name for variable in VARIABLES}
    assert translate(dict.fromkeys(DOCUMENTED, ""), {}, ".env").settings == {}


def test_every_setting_of_the_table_exists() -> None:
    defaults = Tables().model_dump()
    for variable in VARIABLES:
        for key in variable.settings:
            table: object = defaults
            for part in key.split("."):
                assert isinstance(table, dict), key
                assert part in table, key
                table = table[part]


def test_values_have_the_types_of_the_settings() -> None:
    found = settings(
        {
            "RQ__JOB_TIMEOUT_SEC": "60",
            "RQ__RETRY_INTERVALS_SEC": "30",
            "APP__THREADS": "3",
            "LOGGING__LEVEL": "WARNING",
            "WANDB__ENABLED": "True",
            "API_GATEWAY_URL": "http://gate/",
            "REDIS__URL": "redis://cache:6379/0",
            "APP__CORPUS_CACHE_CLEANUP__EVICTION_POLICY": "oldest",
        }
    )
    assert found == {
        "jobs.time_limit_seconds": 60,
        "jobs.retry_interval_seconds": 30,
        "training.threads": 3,
        "inference.threads": 3,
        "supervision.log_level": "warning",
        "integrations.wandb.enabled": True,
        "integrations.data_bank.url": "http://gate/data-bank",
        "integrations.redis.url": "redis://cache:6379/0",
        "integrations.redis.enabled": True,
        "retention.corpora.evict": "oldest",
    }


def test_redis_stays_off_where_that_is_said() -> None:
    assert settings({"REDIS__URL": "redis://a/0"}, {"REDIS__ENABLED": "false"})["integrations.redis.enabled"] is False


def test_the_address_of_the_data_bank_is_more_exact_than_the_gateways() -> None:
    both = {"APP__DATA_BANK_API_URL": "http://bank", "API_GATEWAY_URL": "http://gate"}
    assert settings(both)["integrations.data_bank.url"] == "http://bank"


def test_the_environment_wins_over_the_file_whatever_the_names() -> None:
    found = translate({"LOGGING__LEVEL": "ERROR"}, {"THORD__SUPERVISION__LOG_LEVEL": "debug"}, "/h/.env")
    (setting,) = found.settings.values()
    assert (setting.value, setting.origin, found.faults) == ("error", "environment LOGGING__LEVEL", ())
    (setting,) = translate({}, {"LOGGING__LEVEL": "ERROR"}, "/h/.env").settings.values()
    assert setting.origin == "/h/.env LOGGING__LEVEL"


def test_two_of_one_place_that_disagree_are_both_named() -> None:
    disagree = {"LOGGING__LEVEL": "ERROR", "THORD__SUPERVISION__LOG_LEVEL": "debug"}
    for said in (translate(disagree, {}, ".env"), translate({}, disagree, ".env")):
        (fault,) = said.faults
        assert {"LOGGING__LEVEL", "THORD__SUPERVISION__LOG_LEVEL", "supervision.log_level"} <= set(
            re.split(r"[ :]", fault)
        )
    assert translate(disagree | {"LOGGING__LEVEL": "DEBUG"}, {}, ".env").faults == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS__ENABLED", "maybe"),
        ("RQ__RETRY_MAX", "many"),
        ("RQ__RETRY_INTERVALS_SEC", "10,60"),
        ("LOGGING__LEVEL", "loud"),
        ("APP_ENV", "staging"),
    ],
)
def test_values_that_mean_nothing_are_named(name: str, value: str) -> None:
    (fault,) = translate({name: value}, {}, ".env").faults
    assert fault.startswith(f"environment {name} = {value!r}: ")


def test_unknown_variables_of_the_families_are_warned_about_without_their_values() -> None:
    said = translate({"SECURITY__API_KEYS": "hunter2", "APP__THREAD": "2", "PATH": "/bin", "APPLE": "1"}, {}, ".env")
    assert said.warnings == (
        "environment APP__THREAD: thord does not read it; did you mean APP__THREADS?",
        "environment SECURITY__API_KEYS: thord does not read it; did you mean SECURITY__API_KEY?",
    )


def test_keys_are_no_settings_and_stand_in_no_text() -> None:
    said = translate({"SECURITY__API_KEY": "hunter2"}, {"APP__DATA_BANK_API_KEY": "swordfish"}, ".env")
    assert said.secrets == {"SECURITY__API_KEY": "hunter2", "APP__DATA_BANK_API_KEY": "swordfish"}
    assert said.settings == {}
    assert "hunter2" not in repr(said)
    (warning,) = translate({"SECURITY__API_KEY": ""}, {}, ".env").warnings
    assert "protects nothing" in warning


def test_what_is_not_ours_in_the_file_is_for_the_libraries() -> None:
    file = {"HF_TOKEN": "t", "HF_HOME": "/c", "APP__THREADS": "1", "SECURITY__API_KEY": "k", "THORD__API__PORT": "1"}
    assert translate({}, file, ".env").others == {"HF_TOKEN": "t", "HF_HOME": "/c"}


def test_a_file_of_variables_is_read_as_docker_and_systemd_read_it(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        '\ufeff# comment\r\nA=1\nexport B = two words # comment\nC="x # y\\n\\"z"\nD=\'${A} \\n\'\nE=\nF=a#b\n\nA=1\n'
    )
    assert read(file) == {"A": "1", "B": "two words", "C": 'x # y\n"z', "D": "${A} \\n", "E": "", "F": "a#b"}


def test_every_line_that_means_nothing_is_named_without_values(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=secret\nwhat\nB='x\nC=${A}\nA=other\n")
    with pytest.raises(EnvFileError) as caught:
        read(file)
    assert [re.sub(r":.*", "", fault.removeprefix(f"{file}, ")) for fault in caught.value.faults] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
    ]
    assert "secret" not in str(caught.value)
    assert "A is set in line 1 already" in caught.value.faults[-1]
    with pytest.raises(EnvFileError, match="cannot be read"):
        read(tmp_path / "missing")
