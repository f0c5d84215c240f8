"""However a client writes its base URL, the route it means is found."""

import pytest

from daemon.workers.server.access import paths


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("//v1/models", "/v1/models"),
        ("/v1//chat///completions//", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/completions", "/v1/completions"),
        ("/embeddings/", "/v1/embeddings"),
        ("/models", "/v1/models"),
        ("/models/openai/thor", "/v1/models/openai/thor"),
        ("/responses", "/v1/responses"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/files/file-1/content", "/v1/files/file-1/content"),
        ("/fine_tuning/jobs", "/v1/fine_tuning/jobs"),
        ("/", "/"),
        ("//", "/"),
        ("/docs/", "/docs"),
        ("/tokenize", "/tokenize"),
        ("/modelsx", "/modelsx"),
    ],
)
def test_the_route_that_is_meant(path: str, meant: str) -> None:
    assert paths.meant(path) == meant


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/responses/resp_1/cancel", "DELETE /v1/responses/ID"),
        ("/v1/messages/batches", "/v1/messages/count_tokens"),
        ("/api/pull", "thorctl"),
        ("/generate_stream", "/v1/completions"),
        ("/v1", "/v1/models"),
    ],
)
def test_other_apis_are_told_what_to_use(path: str, instead: str) -> None:
    assert instead in (paths.hint(path) or "")


def test_of_anything_else_nothing_is_known() -> None:
    assert paths.hint("/nothing") is None
