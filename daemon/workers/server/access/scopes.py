"""What a key may do: the scopes there are, and the scope that each route needs."""

from typing import Literal, get_args

Scope = Literal["read", "generate", "train", "admin"]
"""``read``: see how the service is. ``generate``: use the model. ``train``: have it learn. ``admin``: all of these."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
PLAIN: frozenset[Scope] = frozenset({"read", "generate"})
"""What a caller may do where nothing else is said: with a key whose line names no scopes, where no keys are configured,
or over the Unix socket. ``train`` and ``admin`` always need a key that has them."""

NEEDED: dict[tuple[str, str], Scope | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/health"): None,
    ("GET", "/ping"): None,
    ("GET", "/readyz"): None,
    ("GET", "/version"): None,
    ("GET", "/metrics"): None,
    ("GET", "/v1/status"): "read",
    ("GET", "/v1/models"): "generate",
    ("GET", "/v1/models/{name:path}"): "generate",
    ("POST", "/v1/completions"): "generate",
    ("POST", "/v1/chat/completions"): "generate",
    ("POST", "/v1/embeddings"): "generate",
    ("POST", "/v1/score"): "generate",
    ("POST", "/v1/feedback"): "generate",
    ("GET", "/v1/sessions"): "generate",
    ("GET", "/v1/sessions/{name}"): "generate",
    ("DELETE", "/v1/sessions/{name}"): "generate",
    ("POST", "/predict"): "generate",
    ("POST", "/tokenize"): "generate",
    ("POST", "/detokenize"): "generate",
    ("GET", "/tokenizer_info"): "generate",
}
"""Method and path of every route, and the scope that it needs; null: not even a key."""


def permits(held: frozenset[Scope], needed: Scope | None) -> bool:
    """Whether a caller that holds these scopes may use a route that needs ``needed``."""
    return needed is None or needed in held or "admin" in held
