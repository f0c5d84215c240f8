"""Tools, calls and results of every API are one and the same thing to learn, with the types of their arguments."""

import json

import pytest

from engine.data.canonical import from_canonical
from engine.data.records.calls.tools import in_the_form_of_openai
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue, Message, ToolCall

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOL = {"name": "tide", "description": "Height", "parameters": SCHEMA}
TOOL_WITHOUT_SCHEMA = {"name": "tide", "description": "Height"}
TOOLS = [{"type": "function", "function": TOOL}]
ARGUMENTS = {"at": "Skaw", "days": 2, "exact": True, "near": None}
RESULT = '{"metres": 1.2}'

OPENAI_CALL = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": json.dumps(ARGUMENTS)}}
ASKED, ANSWERED = {"role": "user", "content": "Tide?"}, {"role": "assistant", "content": "1.2 m."}
HERMES = (
    "Be brief.\n\nYou are a function calling AI model. You are provided with signatures within <tools> </tools>"
    f" XML tags.\n<tools>\n{TOOLS}\n</tools>\nEach call in <tool_call> </tool_call>.\n<tool_call>\n{{x}}\n</tool_call>"
)
QWEN = f"Be brief.\n\n# Tools\n\nYou may call one or more functions.\n\n<tools>\n{json.dumps(TOOLS[0])}\n</tools>\nFor"

RECORDS: dict[str, dict[str, object]] = {
    "OpenAI": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            ASKED,
            {"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": RESULT},
            ANSWERED,
        ],
        "tools": TOOLS,
    },
    "OpenAI's functions": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            ASKED,
            {"role": "assistant", "content": None, "function_call": OPENAI_CALL["function"]},
            {"role": "function", "name": "tide", "content": RESULT},
            ANSWERED,
        ],
        "functions": [TOOL],
    },
    "Anthropic": {
        "system": "Be brief.",
        "messages": [
            ASKED,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "tide", "input": ARGUMENTS}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": RESULT}]},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "1.2 m."}],
            },
        ],
        "tools": [{"name": "tide", "description": "Height", "input_schema": SCHEMA}],
    },
    "Gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Tide?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "tide", "args": ARGUMENTS}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "tide", "response": {"metres": 1.2}}}]},
            {"role": "model", "parts": [{"text": "1.2 m."}]},
        ],
        "tools": [{"functionDeclarations": [TOOL]}],
    },
    "Bedrock": {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Tide?"}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c1", "name": "tide", "input": ARGUMENTS}}],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"metres": 1.2}}]}}],
            },
            {
                "role": "assistant",
                "content": [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "1.2 m."}],
            },
        ],
        "toolConfig": {"tools": [{"toolSpec": {**TOOL_WITHOUT_SCHEMA, "inputSchema": {"json": SCHEMA}}}]},
    },
    "Responses": {
        "request": {
            "instructions": "Be brief.",
            "input": [
                ASKED,
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "c1", "name": "tide", "arguments": json.dumps(ARGUMENTS)},
                {"type": "function_call_output", "call_id": "c1", "output": RESULT},
            ],
            "tools": [{"type": "function", **TOOL}],
        },
        "response": {
            "status": "completed",
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "1.2 m."}]},
            ],
        },
    },
    "ShareGPT": {
        "system": "Be brief.",
        "conversations": [
            {"from": "human", "value": "Tide?"},
            {"from": "function_call", "value": json.dumps({"name": "tide", "arguments": ARGUMENTS})},
            {"from": "observation", "value": RESULT},
            {"from": "gpt", "value": "1.2 m."},
        ],
        "tools": json.dumps([TOOL]),
    },
    "Hermes": {
        "conversations": [
            {"from": "system", "value": HERMES},
            {"from": "human", "value": "Tide?"},
            {"from": "gpt", "value": f"<tool_call>\n{ {'arguments': ARGUMENTS, 'name': 'tide'} }\n</tool_call>"},
            {"from": "tool", "value": f"<tool_response>\n{RESULT}\n</tool_response>"},
            {"from": "gpt", "value": "1.2 m."},
        ],
    },
    "Qwen": {
        "messages": [
            {"role": "system", "content": QWEN},
            ASKED,
            {
                "role": "assistant",
                "content": f"<tool_call>\n{json.dumps({'name': 'tide', 'arguments': ARGUMENTS})}\n</tool_call>",
            },
            {"role": "user", "content": f"<tool_response>\n{RESULT}\n</tool_response>"},
            ANSWERED,
        ],
    },
}


def dialogue(record: object) -> Dialogue:
    (found,) = parse(json.loads(json.dumps(record)), Limits())
    assert isinstance(found, Dialogue)
    return found


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_api_says_the_same(record: dict[str, object]) -> None:
    messages = dialogue(record).messages
    (tools,) = (tools for message in messages if isinstance(tools := message.tools, list))
    assert in_the_form_of_openai(tools) == TOOLS
    assert [message.content for message in messages if message.role == "system" and message.content] == ["Be brief."]
    told = [message for message in messages if message.role != "system"]
    assert [message.role for message in told] == ["user", "assistant", "tool", "assistant"]
    assert [message.content for message in told] == ["Tide?", "", RESULT, "1.2 m."]
    (call,) = told[1].tool_calls
    assert (call.name, call.arguments) == ("tide", ARGUMENTS)
    assert told[2].tool_call_id == call.id or not told[2].tool_call_id


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_nothing_is_lost_on_the_way_to_a_snapshot(record: dict[str, object]) -> None:
    found = dialogue(record)
    assert from_canonical(found.canonical) == found


def test_calls_of_responses_belong_to_the_turn_before_them() -> None:
    calls = [{"type": "function_call", "call_id": each, "name": "w", "arguments": "{}"} for each in ("1", "2")]
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
    found = dialogue({"request": {"input": "Tide?"}, "response": {"output": [said, *calls]}})
    assert found.messages == (
        Message("user", "Tide?"),
        Message("assistant", "I look.", (ToolCall("w", {}, "1"), ToolCall("w", {}, "2"))),
    )


def test_calls_written_as_a_string_are_calls() -> None:
    calls = json.dumps([{"name": "w", "arguments": {"at": "Skaw"}}])
    found = dialogue({"messages": [ASKED, {"role": "assistant", "content": "", "tool_calls": calls}]})
    assert found.messages[1].tool_calls == (ToolCall("w", {"at": "Skaw"}),)


def test_results_and_words_in_one_message_are_several_turns() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "rain"}
    said = [result, {"type": "text", "text": "And Oban?"}]
    called = [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "c1", "name": "w", "input": {}}]
    record = {
        "messages": [ASKED, {"role": "assistant", "content": called}, {"role": "user", "content": said}, ANSWERED]
    }
    assert dialogue(record).messages == (
        Message("user", "Tide?"),
        Message("assistant", "I look.", (ToolCall("w", {}, "c1"),)),
        Message("tool", "rain", tool_call_id="c1"),
        Message("user", "And Oban?"),
        Message("assistant", "1.2 m."),
    )


@pytest.mark.parametrize(
    "answer",
    ["<tool_call>\nnot JSON\n</tool_call>", "<tool_call>{}</tool_call> Done.", "Write <tool_call> before a call."],
)
def test_calls_that_cannot_be_read_stay_text(answer: str) -> None:
    (said,) = dialogue({"messages": [{"role": "assistant", "content": answer}]}).messages
    assert (said.content, said.tool_calls) == (answer, ())


def test_arguments_that_are_no_json_stay_the_string_they_are() -> None:
    call = {"function": {"name": "tide", "arguments": '{"at": Skaw'}}
    (said,) = dialogue({"messages": [{"role": "assistant", "tool_calls": [call]}]}).messages
    assert said.tool_calls[0].arguments == '{"at": Skaw'


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image_url", "image_url": {"url": "x"}}],
        [{"type": "image", "source": {"type": "base64"}}],
        [{"type": "input_audio", "input_audio": {}}],
        [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "image", "source": {}}]}],
    ],
)
def test_a_picture_or_a_sound_costs_the_conversation_that_refers_to_it(content: list[object]) -> None:
    with pytest.raises(FormatError, match="only text can be learned"):
        dialogue({"messages": [{"role": "user", "content": content}, ANSWERED]})


def test_conversations_without_tools_are_what_they_were() -> None:
    found = dialogue({"messages": [ASKED, ANSWERED]})
    assert found.canonical == '{"messages":[["user","Tide?"],["assistant","1.2 m."]]}'


@pytest.mark.parametrize("text", ["<tool_call>" * 500_000, "</tool_call>" * 300_000 + "<tool_call>" * 300_000])
@pytest.mark.timeout(60)
def test_hostile_marks_take_time_that_grows_with_their_number(text: str) -> None:
    tools = "# Tools\n\nYou may call one or more functions.<tools>{" * 50_000
    turns = [{"role": "system", "content": tools}, {"role": "assistant", "content": text}]
    assert dialogue({"messages": turns}).messages[1].content == text
