"""Every environment variable that thord understands besides ``THORD__SECTION__KEY``: the one table of them.

They are those of Model Trainer, so that what was set up for it goes on working.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "flag", "number", "seconds list", "level", "gateway", "environment"]
"""How a value is read. ``gateway``: an address to which ``/data-bank`` is appended."""

Use = Literal["setting", "secret", "home", "inherited", "exposure"]
"""What becomes of a value: it sets settings; it is a secret that is kept out of them; it chooses the home; it is passed
on to the libraries that read it; it says how strict to be about an API that is open to everybody."""


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        settings: dotted keys of the settings that it sets.
        implies: a setting that it turns on, unless something else says otherwise.
        what: what it does, as a sentence.
    """

    name: str
    what: str
    settings: tuple[str, ...] = ()
    kind: Kind = "text"
    use: Use = "setting"
    implies: str | None = None


API_KEY, DATA_BANK_KEY, DATA_ROOT = "SECURITY__API_KEY", "APP__DATA_BANK_API_KEY", "APP__DATA_ROOT"
DATA_BANK, GATEWAY, EXPOSURE = "APP__DATA_BANK_API_URL", "API_GATEWAY_URL", "APP_ENV"

VARIABLES: tuple[Variable, ...] = (
    Variable(
        "REDIS__URL",
        "Address of Redis; also turns it on.",
        ("integrations.redis.url",),
        "text",
        implies="integrations.redis.enabled",
    ),
    Variable("REDIS__ENABLED", "Whether to use Redis.", ("integrations.redis.enabled",), "flag"),
    Variable("RQ__QUEUE_NAME", "Name of the queue of jobs.", ("jobs.queue",)),
    Variable("RQ__JOB_TIMEOUT_SEC", "Time limit of a job.", ("jobs.time_limit_seconds",), "number"),
    Variable("RQ__RESULT_TTL_SEC", "How long results of jobs are kept.", ("jobs.result_ttl_seconds",), "number"),
    Variable("RQ__FAILURE_TTL_SEC", "How long failures of jobs are kept.", ("jobs.failure_ttl_seconds",), "number"),
    Variable("RQ__RETRY_MAX", "How often a failed job is tried again.", ("jobs.retries",), "number"),
    Variable("RQ__RETRY_INTERVALS_SEC", "Pause before a retry.", ("jobs.retry_interval_seconds",), "seconds list"),
    Variable(DATA_ROOT, "The home, as `THORD_HOME` and `--home`, which win.", use="home"),
    Variable("APP__ARTIFACTS_ROOT", "Folder of artifacts.", ("paths.artifacts",)),
    Variable("APP__RUNS_ROOT", "Folder of runs.", ("paths.runs",)),
    Variable("APP__LOGS_ROOT", "Folder of logs.", ("paths.logs",)),
    Variable("APP__THREADS", "Processor threads; 0 chooses.", ("training.threads", "inference.threads"), "number"),
    Variable(
        "APP__TOKENIZER_SAMPLE_MAX_LINES", "Lines to train a tokenizer on.", ("tokenizer.sample_lines",), "number"
    ),
    Variable(DATA_BANK, "Address of the data bank.", ("integrations.data_bank.url",)),
    Variable(DATA_BANK_KEY, "Its API key.", use="secret"),
    Variable(
        GATEWAY,
        f"Address of a gateway: the data bank is `/data-bank` there, unless `{DATA_BANK}` is set.",
        ("integrations.data_bank.url",),
        "gateway",
    ),
    Variable(
        EXPOSURE,
        "`dev` or `prod`. With `prod` thord does not start while its API is open to other machines without a key.",
        kind="environment",
        use="exposure",
    ),
    Variable("LOGGING__LEVEL", "Minimum level of log lines.", ("supervision.log_level",), "level"),
    Variable("HF_HOME", "Cache of Hugging Face.", use="inherited"),
    Variable(API_KEY, "A key that clients of the public API must send; it may read, generate and train.", use="secret"),
    Variable("WANDB__ENABLED", "Whether to log runs to Weights & Biases.", ("integrations.wandb.enabled",), "flag"),
    Variable("WANDB__PROJECT", "Project there.", ("integrations.wandb.project",)),
    Variable("WANDB_API_KEY", "API key there.", use="inherited"),
    Variable(
        "APP__CLEANUP__ENABLED",
        "Whether to remove local files of a run once they are uploaded.",
        ("uploads.clean",),
        "flag",
    ),
    Variable(
        "APP__CLEANUP__VERIFY_UPLOAD",
        "Whether to compare sums with what was uploaded before that.",
        ("uploads.verify",),
        "flag",
    ),
    Variable(
        "APP__CLEANUP__GRACE_PERIOD_SECONDS", "How long to wait before that.", ("uploads.grace_seconds",), "number"
    ),
    Variable(
        "APP__CLEANUP__DRY_RUN",
        "Log what would be removed after an upload, and remove nothing.",
        ("uploads.dry_run",),
        "flag",
    ),
    Variable(
        "APP__CORPUS_CACHE_CLEANUP__ENABLED",
        "Whether to bound the cache of corpora.",
        ("retention.corpora.enabled",),
        "flag",
    ),
    Variable("APP__CORPUS_CACHE_CLEANUP__MAX_BYTES", "Its maximum size.", ("retention.corpora.max_bytes",), "number"),
    Variable(
        "APP__CORPUS_CACHE_CLEANUP__MIN_FREE_BYTES",
        "Free space to maintain.",
        ("retention.corpora.min_free_bytes",),
        "number",
    ),
    Variable("APP__CORPUS_CACHE_CLEANUP__EVICTION_POLICY", "`lru` or `oldest`.", ("retention.corpora.evict",)),
    Variable(
        "APP__TOKENIZER_CLEANUP__ENABLED",
        "Whether to remove tokenizers that nothing uses.",
        ("retention.tokenizers.enabled",),
        "flag",
    ),
    Variable(
        "APP__TOKENIZER_CLEANUP__MIN_UNUSED_DAYS",
        "After how many days.",
        ("retention.tokenizers.min_unused_days",),
        "number",
    ),
)

BY_NAME = {variable.name: variable for variable in VARIABLES}

FAMILIES = ("REDIS__", "RQ__", "APP__", "LOGGING__", "SECURITY__", "WANDB__")
"""Unknown variables that begin like this are warned about; nobody should believe that they do something."""

BY_FILE = frozenset({API_KEY, DATA_BANK_KEY, "REDIS__URL"})
"""These can be given as ``NAME_FILE=FILE`` too, the file holding the value."""

SECRETS = frozenset(variable.name for variable in VARIABLES if variable.use == "secret")
"""Never logged, shown, or handed to workers by the environment."""
