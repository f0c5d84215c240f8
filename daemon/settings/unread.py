"""Environment variables of another trainer: thord does not read them, and says what to use instead.

Most important is the API key: nobody should believe that it protects the API when it does not.
"""

from collections.abc import Mapping

_SETTING_FOR: dict[str, str] = {
    "SECURITY__API_KEY": "put the key into a file and name it in api.keys_file",
    "LOGGING__LEVEL": "set supervision.log_level",
    "APP__THREADS": "set training.threads and inference.threads",
    "APP__DATA_ROOT": "start thord with --home",
    "APP__ARTIFACTS_ROOT": "start thord with --home",
    "APP__RUNS_ROOT": "start thord with --home",
    "APP__LOGS_ROOT": "start thord with --home",
    "APP__TOKENIZER_SAMPLE_MAX_LINES": "set tokenizer.sample_megabytes",
    "APP_ENV": "choose a profile",
    "RQ__RETRY_MAX": "set supervision.max_attempts",
}
_NOTHING = (
    *("REDIS__URL", "REDIS__ENABLED"),
    *("RQ__QUEUE_NAME", "RQ__JOB_TIMEOUT_SEC", "RQ__RESULT_TTL_SEC", "RQ__FAILURE_TTL_SEC", "RQ__RETRY_INTERVALS_SEC"),
    *("APP__DATA_BANK_API_URL", "APP__DATA_BANK_API_KEY", "API_GATEWAY_URL", "WANDB__ENABLED", "WANDB__PROJECT"),
)
_UNREAD_TABLES = ("APP__CLEANUP__", "APP__CORPUS_CACHE_CLEANUP__", "APP__TOKENIZER_CLEANUP__")


def warnings(environment: Mapping[str, str]) -> list[str]:
    """One line for each variable that is set and not read; values, which may be secrets, are not repeated."""
    return [
        f"{name} is set, and thord does not read it" + (f": {instead}" if (instead := _SETTING_FOR.get(name)) else "")
        for name in sorted(environment)
        if name in _SETTING_FOR or name in _NOTHING or name.startswith(_UNREAD_TABLES)
    ]
