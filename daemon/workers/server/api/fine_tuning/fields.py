"""What becomes of the fields of a fine-tuning job that no schema names; see `daemon.workers.server.api.fields`."""

from daemon.workers.server.api.fields import RefusedField, Rules

_OUR_OWN = "set it in method.supervised.hyperparameters"
JOB = Rules(
    {
        "n_epochs": RefusedField(("auto",), _OUR_OWN),
        "batch_size": RefusedField(("auto",), _OUR_OWN),
        "learning_rate_multiplier": RefusedField(("auto",), _OUR_OWN),
        "learning_rate": RefusedField((), "learning_rate_multiplier is a factor on thord's own rate"),
        "dataset": RefusedField((), "upload a file and send its id as training_file"),
        "reward_function": RefusedField((), "no file can be graded here"),
    },
    frozenset({"user"}),
)
HYPERPARAMETERS = Rules(
    {
        "learning_rate": RefusedField((), "learning_rate_multiplier is a factor on thord's own rate"),
        "prompt_loss_weight": RefusedField((0,), "only answers are learned"),
        "reasoning_effort": RefusedField(),
        "compute_multiplier": RefusedField(("auto",), "use n_epochs"),
        "eval_interval": RefusedField(("auto",), "training.validate_every sets how often validation is measured"),
        "eval_samples": RefusedField(("auto",), "all of the validation file is measured"),
    }
)
