"""The form in which calls are served is the one in which a model's template writes them."""

import json

import pytest

from engine.data.samples import Message, ToolCall
from engine.tokenizers.call_form import PLAIN, CallForm
from engine.tokenizers.templates.foreign_call_form import form_of
from engine.tokenizers.templates.foreign_chat_template import ChatTemplate
from tests.engine.tokenizers.test_tools import DEEPSEEK, MISTRAL, QWEN
from tests.foreign import CHATML

LLAMA = (
    "{{- bos_token }}{%- for message in messages %}{%- if 'tool_calls' in message %}"
    "{%- if message.tool_calls | length != 1 %}{{- raise_exception('one call at once') }}{%- endif %}"
    "{%- set call = message.tool_calls[0].function %}{{- '<|start|>assistant<|head|>\n\n' }}"
    '{{- \'{"name": "\' + call.name + \'", "parameters": \' }}{{- call.arguments | tojson }}{{- "}" }}{{- "<|eot|>" }}'
    "{%- else %}{{- '<|start|>' + message.role + '<|head|>\n\n' + message.content + '<|eot|>' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start|>assistant<|head|>\n\n' }}{%- endif %}"
)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SPECIALS = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start|>", "<|head|>", "<|eot|>", "<|call|>", "<|end|>")
CALLS = (ToolCall("tide", {"at": "Skaw", "days": 2}, "call12345"), ToolCall("time", {}, "call12346"))


@pytest.mark.parametrize(
    ("source", "form"),
    [
        (QWEN, CallForm("<tool_call>\n", "\n</tool_call>", "\n")),
        (LLAMA, CallForm(between=None, key="parameters")),
        (MISTRAL, PLAIN),
        (DEEPSEEK, PLAIN),
        (CHATML, PLAIN),
    ],
    ids=["qwen", "llama", "mistral", "deepseek", "chatml"],
)
def test_the_form_of_a_template(source: str, form: CallForm) -> None:
    assert form_of(ChatTemplate(source, TOKENS), SPECIALS) == form


@pytest.mark.parametrize("calls", [CALLS[:1], CALLS])
def test_calls_in_that_form_are_what_the_template_writes(calls: tuple[ToolCall, ...]) -> None:
    template = ChatTemplate(QWEN, TOKENS)
    form = form_of(template, SPECIALS)
    (given, _) = template.forms_of([Message("user", "x"), Message("assistant", "", calls)])
    text = template.render(given.turns, answering=False)
    written = (form.between or "").join(form.head(call.name) + json.dumps(call.arguments) + form.tail for call in calls)
    assert f"<|im_start|>assistant\n{written}<|im_end|>" in text


def test_thords_own_form_is_the_plain_one() -> None:
    text = Message("assistant", "", CALLS).plain_content
    assert text == "\n".join(PLAIN.head(call.name) + json.dumps(call.arguments) + PLAIN.tail for call in CALLS)
