"""``docs/apis.md`` names what requests of the other APIs may hold."""

import re
from pathlib import Path

from daemon.workers.server.api.anthropic.schemas import MessagesBody
from daemon.workers.server.api.ollama.schemas import EmbedBody, GenerateBody, OllamaChatBody, OllamaOptions
from daemon.workers.server.api.responses.schemas import ResponsesBody
from daemon.workers.server.api.schemas import SamplingBody


def test_every_field_is_named() -> None:
    docs = Path(__file__).parents[5] / "docs"
    named = set(re.findall(r"`([a-z_0-9]+)`", (docs / "apis.md").read_text()))
    there = set(re.findall(r"`([a-z_0-9]+)`", (docs / "serving.md").read_text()))
    assert SamplingBody.model_fields.keys() <= there, "as in chats"
    for body in (ResponsesBody, MessagesBody, OllamaChatBody, GenerateBody, OllamaOptions, EmbedBody):
        lost = body.model_fields.keys() - named - SamplingBody.model_fields.keys() - {"stream_options"}
        assert not lost, (body, lost)
