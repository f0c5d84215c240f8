"""Which route a path means, however a client's base URL is written, and what to say of paths of other APIs."""

import re

_WITHOUT_V1 = re.compile(
    r"/(?:chat/completions|completions|embeddings|(?:models|responses|messages|files|fine_tuning)(?:/.*)?)"
)
"""Of OpenAI's and Anthropic's paths, what a client asks for whose base URL lacks ``/v1``: as in llama.cpp they are
served too."""

_OTHER_APIS = (
    (
        re.compile(r"/v1/responses/.+"),
        "of the Responses API there are POST /v1/responses, and GET and DELETE /v1/responses/ID",
    ),
    (
        re.compile(r"/v1/messages/.+"),
        "of Anthropic's API there are POST /v1/messages and POST /v1/messages/count_tokens",
    ),
    (
        re.compile(r"/api/.*"),
        "of Ollama's API there are chat, generate, embed, tags, ps, show, version; thorctl imports and removes models",
    ),
    (
        re.compile(r"/(?:completion|infill|generate|generate_stream)"),
        "use OpenAI's API: POST /v1/completions or /v1/chat/completions",
    ),
    (re.compile(r"/v1"), "this is the base URL for clients of OpenAI's API; GET /v1/models says what is here"),
)


def meant(path: str) -> str:
    """The path of the route that is meant: single slashes, none at the end, ``/v1`` where it was left out."""
    plain = re.sub(r"/{2,}", "/", path)
    plain = plain.rstrip("/") or "/"
    return f"/v1{plain}" if _WITHOUT_V1.fullmatch(plain) else plain


def hint(path: str) -> str | None:
    """What to use instead of a path that some other API has."""
    return next((says for pattern, says in _OTHER_APIS if pattern.fullmatch(path)), None)
