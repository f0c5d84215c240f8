"""Variables of another trainer that thord does not read are warned about, without their values."""

from daemon.settings import unread


def test_a_key_that_guards_nothing_is_told_without_its_value() -> None:
    (line,) = unread.warnings({"SECURITY__API_KEY": "hunter2", "PATH": "/bin", "THORD__API__PORT": "1", "HF_HOME": "x"})
    assert "SECURITY__API_KEY" in line
    assert "api.keys_file" in line
    assert "hunter2" not in line


def test_every_documented_variable_is_known() -> None:
    names = (
        "REDIS__URL REDIS__ENABLED RQ__QUEUE_NAME RQ__JOB_TIMEOUT_SEC RQ__RESULT_TTL_SEC RQ__FAILURE_TTL_SEC "
        "RQ__RETRY_MAX RQ__RETRY_INTERVALS_SEC APP__DATA_ROOT APP__ARTIFACTS_ROOT APP__RUNS_ROOT APP__LOGS_ROOT "
        "APP__THREADS APP__TOKENIZER_SAMPLE_MAX_LINES APP__DATA_BANK_API_URL APP__DATA_BANK_API_KEY API_GATEWAY_URL "
        "APP_ENV LOGGING__LEVEL SECURITY__API_KEY WANDB__ENABLED WANDB__PROJECT APP__CLEANUP__ENABLED "
        "APP__CORPUS_CACHE_CLEANUP__MAX_BYTES APP__TOKENIZER_CLEANUP__MIN_UNUSED_DAYS"
    ).split()
    assert [line.split()[0] for line in unread.warnings(dict.fromkeys(names, "1"))] == sorted(names)
