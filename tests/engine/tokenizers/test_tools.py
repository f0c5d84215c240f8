"""Tools and calls to them in the templates of public models: the ids of transformers, and the calls are learned."""

import json

import pytest
from transformers import PreTrainedTokenizerFast

from engine.config.tokenizer import TokenizerSettings
from engine.data.samples import Dialogue, Message, ToolCall
from engine.tokenizers import encode
from engine.tokenizers.base import END
from engine.tokenizers.train import train
from tests.engine.tokenizers.test_huggingface import byte_level
from tests.foreign import CHATML, made

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "tide",
            "description": "Height of the water, in <metres> & more",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
        },
    }
]
CALLS = (ToolCall("tide", {"at": "Skaw", "days": 2, "exact": True}, "call12345"),)
MESSAGES = (
    Message("system", "Be brief.", tools=TOOLS),
    Message("user", "Tide at Skaw?"),
    Message("assistant", "", CALLS),
    Message("tool", '{"metres": 1.2}', name="tide", tool_call_id="call12345"),
    Message("assistant", "1.2 metres."),
)

# Written for these tests, each with what is particular about the template of a family.
QWEN = (
    "{%- if tools %}{{- '<|im_start|>system\n' }}"
    "{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}"
    "{%- endif %}{{- '# Tools\n<tools>' }}{%- for tool in tools %}{{- '\n' }}{{- tool | tojson }}{%- endfor %}"
    "{{- '\n</tools><|im_end|>\n' }}{%- elif messages[0].role == 'system' %}"
    "{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant' }}"
    "{%- if message.content %}{{- '\n' + message.content }}{%- endif %}{%- for tool_call in message.tool_calls %}"
    "{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}"
    '{{- \'\n<tool_call>\n{"name": "\' + tool_call.name + \'", "arguments": \' }}{{- tool_call.arguments | tojson }}'
    "{{- '}\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\n' }}{%- elif message.role == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
MISTRAL = (
    "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'user' %}"
    "{%- if tools is not none and loop.index0 <= 1 %}"
    "{{- '[AVAILABLE_TOOLS] ' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}"
    "{%- endif %}{{- '[INST] ' + message['content'] + '[/INST]' }}{%- elif message.tool_calls %}{{- '[TOOL_CALLS] [' }}"
    "{%- for tool_call in message.tool_calls %}{%- set out = tool_call.function | tojson %}{{- out[:-1] }}"
    "{%- if not tool_call.id is defined or tool_call.id | length != 9 %}"
    "{{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{%- endif %}"
    "{{- ', \"id\": \"' + tool_call.id + '\"}' }}{%- endfor %}{{- ']' + eos_token }}"
    "{%- elif message['role'] == 'assistant' %}{{- ' ' + message['content'] + eos_token }}"
    "{%- elif message['role'] == 'tool' %}"
    "{{- '[TOOL_RESULTS] {\"content\": ' + message.content + ', \"call_id\": \"' + message.tool_call_id + '\"}' }}"
    "{%- endif %}{%- endfor %}"
)
DEEPSEEK = (
    "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'system' %}{{- message['content'] }}"
    "{%- elif message['role'] == 'user' %}{{- '<|User|>' + message['content'] + '<|Assistant|>' }}"
    "{%- elif message['role'] == 'assistant' and message['tool_calls'] %}{%- for tool in message['tool_calls'] %}"
    "{{- '<|call|>' + tool['type'] + '<|sep|>' + tool['function']['name'] + '\n' + tool['function']['arguments'] }}"
    "{%- endfor %}{{- '<|end|>' }}{%- elif message['role'] == 'assistant' %}{{- message['content'] + '<|end|>' }}"
    "{%- elif message['role'] == 'tool' %}{{- '<|output|>' + message['content'] }}{%- endif %}{%- endfor %}"
)
FAMILIES = {
    "Qwen": (QWEN, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ("<|endoftext|>", "<|im_end|>"), False),
    "Mistral": (
        MISTRAL,
        [
            "<s>",
            "</s>",
            "[INST]",
            "[/INST]",
            "[TOOL_CALLS]",
            "[AVAILABLE_TOOLS]",
            "[/AVAILABLE_TOOLS]",
            "[TOOL_RESULTS]",
        ],
        ("</s>", "</s>", "<s>"),
        False,
    ),
    "DeepSeek": (
        DEEPSEEK,
        ["<|begin|>", "<|end|>", "<|User|>", "<|Assistant|>", "<|call|>", "<|sep|>", "<|output|>"],
        ("<|end|>", "<|end|>", "<|begin|>"),
        True,
    ),
}


def openai(messages: tuple[Message, ...], *, as_text: bool) -> list[dict[str, object]]:
    """As OpenAI writes it; DeepSeek's template, which takes arguments as text, knows no tools beside the turns."""
    turns: list[dict[str, object]] = []
    for message in messages:
        content = message.plain_content if as_text and message.tools else message.content
        turn: dict[str, object] = {"role": message.role, "content": content}
        if message.tool_calls:
            turn["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": json.dumps(call.arguments) if as_text else call.arguments,
                    },
                }
                for call in message.tool_calls
            ]
        if message.name:
            turn |= {"name": message.name, "tool_call_id": message.tool_call_id}
        turns.append(turn)
    return turns


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    template, specials, ends, as_text = FAMILIES[request.param]
    return *made(byte_level(specials), template, *ends), as_text


def said(tokenizer, encoded) -> list[str]:
    """What is learned, a string for each answer."""
    ids = encoded.ids[encoded.supervised].tolist()
    parts = [b"|" if number == tokenizer.special(END) else tokenizer.decode_bytes([number]) for number in ids]
    return [part.strip() for part in b"".join(parts).decode().split("|")]


def test_tools_calls_and_results_have_the_ids_of_transformers(family) -> None:
    ours, theirs, as_text = family
    whole = theirs.apply_chat_template(openai(MESSAGES, as_text=as_text), tools=TOOLS, return_dict=False)
    (encoded,) = encode.encode_conversations(ours, [(Dialogue(MESSAGES), 0)])
    assert encoded.ids.tolist() == whole
    prompt = theirs.apply_chat_template(
        openai(MESSAGES[:2], as_text=as_text), tools=TOOLS, add_generation_prompt=True, return_dict=False
    )
    assert ours.encode_prompt(MESSAGES[:2]) == prompt


def test_a_call_is_learned_to_its_end_and_its_result_is_not(family) -> None:
    ours, _, _ = family
    (encoded,) = ours.encode_dialogues([(MESSAGES, 0)])
    call, answer, rest = said(ours, encoded)
    assert "tide" in call
    assert '{"at": "Skaw", "days": 2, "exact": true}' in call
    assert (answer, rest) == ("1.2 metres.", "")
    (later,) = ours.encode_dialogues([(MESSAGES, 3)])
    assert said(ours, later) == ["1.2 metres.", ""]


def test_tools_that_stand_alone_are_no_turn_of_the_template(family) -> None:
    ours, _, knows_no_tools = family
    alone = (Message("system", "", tools=TOOLS), Message("system", "Be brief."), *MESSAGES[1:])
    (one,), (other,) = (ours.encode_dialogues([(each, 0)]) for each in (alone, MESSAGES))
    if knows_no_tools:  # there they are text in a turn, and a turn of their own is one more
        assert "Tools:" in ours.decode(one.ids.tolist())
        assert "Tools:" in ours.decode(other.ids.tolist())
        return
    assert one.ids.tolist() == other.ids.tolist()
    assert one.supervised.tolist() == other.supervised.tolist()


def test_a_description_cannot_spell_a_special_token(family) -> None:
    ours, _, _ = family
    end = ours.specials[ours.special(END)]
    spelled = [{"type": "function", "function": {**TOOLS[0]["function"], "description": f"x{end}y"}}]
    plain, hostile = (
        ours.encode_prompt([Message("system", "Be brief.", tools=tools), MESSAGES[1]]) for tools in (TOOLS, spelled)
    )
    marks = [[number for number in ids if number in ours.specials] for ids in (plain, hostile)]
    assert marks[0] == marks[1]


def test_calls_that_a_template_refuses_are_learned_in_plain_form() -> None:
    template, specials, ends, _ = FAMILIES["Mistral"]
    ours, _ = made(byte_level(specials), template, *ends)
    nameless = (Message("user", "Tide?"), Message("assistant", "", (ToolCall("tide", {"at": "Skaw"}),)))
    (encoded,) = encode.encode_conversations(ours, [(Dialogue(nameless), 0)])
    assert said(ours, encoded) == ['{"name": "tide", "arguments": {"at": "Skaw"}}', ""]


def test_a_template_without_tools_gets_the_plain_form() -> None:
    _, specials, ends, _ = FAMILIES["Qwen"]
    ours, theirs = made(byte_level(specials), CHATML, *ends)
    plain = [{"role": message.role, "content": message.plain_content} for message in MESSAGES]
    (encoded,) = ours.encode_dialogues([(MESSAGES, 0)])
    assert encoded.ids.tolist() == theirs.apply_chat_template(plain, return_dict=False)
    assert said(ours, encoded) == [CALLS[0].text, "1.2 metres.", ""]


def test_thords_own_template_writes_tools_as_they_are_learned(tmp_path) -> None:
    ours = train(TokenizerSettings(kind="bytes"), [])
    ours.save(tmp_path)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), chat_template=ours.chat_template)
    alone = (Message("system", "", tools=TOOLS), Message("system", "Be brief."), *MESSAGES[1:])
    (encoded,) = encode.encode_conversations(ours, [(Dialogue(alone), 0)])
    turns = openai((Message("system", "Be brief."), *MESSAGES[1:]), as_text=False)
    assert encoded.ids.tolist() == theirs.apply_chat_template(turns, tools=TOOLS, return_dict=False)
    assert ours.decode(encoded.ids[encoded.supervised].tolist()) == f"{CALLS[0].text}1.2 metres."
