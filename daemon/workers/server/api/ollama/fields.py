"""What becomes of the fields of Ollama's API that no schema names; see `daemon.workers.server.api.fields`."""

from daemon.workers.server.api.fields import REQUEST, RefusedField, Rules

_THINKING = RefusedField((False, "none"), "send what the model's template reads in chat_template_kwargs")
_OWN_TEMPLATE = RefusedField(("",), "the model's own template is used")
OLLAMA = Rules(
    {
        "think": _THINKING,
        "template": _OWN_TEMPLATE,
        "suffix": REQUEST.refused["suffix"],
        "context": RefusedField(([],), "use /api/chat with the messages"),
        "raw": RefusedField((False,), "use /v1/completions"),
        "images": RefusedField(([],), "this model reads text only"),
        "width": RefusedField((), "answers are text"),
        "height": RefusedField((), "answers are text"),
        "steps": RefusedField((), "answers are text"),
        "max_tokens": RefusedField((), "use options.num_predict"),
        "temperature": RefusedField((), "use options.temperature"),
        "response_format": RefusedField((), "use format"),
        "tool_choice": RefusedField(("auto",), "use /v1/chat/completions"),
    },
    frozenset({"keep_alive"}),
)
OPTIONS = Rules(
    {
        "repeat_last_n": RefusedField((-1,), "repeat_penalty is for all of prompt and answer"),
        **{name: REQUEST.refused[name] for name in ("mirostat", "tfs_z", "typical_p")},
        "penalize_newline": RefusedField((True,)),
        "logits_all": RefusedField((False,)),
        "vocab_only": RefusedField((False,)),
    },
    frozenset(
        {
            *("num_ctx", "num_batch", "num_gpu", "num_thread", "num_keep", "main_gpu", "low_vram", "f16_kv"),
            *("use_mmap", "use_mlock", "numa", "embedding_only", "mirostat_tau", "mirostat_eta"),
        }
    ),
)
"""How a model is loaded is for the settings to say; the context is always the model's own."""
MESSAGE = Rules({"images": RefusedField(([],), "this model reads text only")}, frozenset({"thinking"}))
ERRORS = {
    "response_format": "format",
    "max_tokens": "options.num_predict",
    **{name: f"options.{name}" for name in ("temperature", "top_p", "top_k", "min_p", "seed", "stop")},
    **{name: f"options.{name}" for name in ("presence_penalty", "frequency_penalty")},
    "repetition_penalty": "options.repeat_penalty",
}
"""What the fields of a chat are called here."""
