"""Exports of chat programs: what the person saw is learned; hidden, internal and left turns are not."""

import contextlib
import json

import pytest

from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue

Turns = list[tuple[str, str]]
ASKED_AND_ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]


def learned(record: object) -> list[Turns]:
    found = parse(json.loads(json.dumps(record)), Limits())
    return [[(m.role, m.plain_content) for m in each.messages] for each in found if isinstance(each, Dialogue)]


def node(name: str, parent: str | None, role: str, text: object, **more: object) -> dict[str, object]:
    content = {"content_type": "text", "parts": [text]}
    return {"id": name, "parent": parent, "message": {"author": {"role": role}, "content": content, **more}}


CHATGPT = {
    "mapping": {
        "root": {"id": "root", "parent": None, "message": None},
        "s": node("s", "root", "system", "secret", metadata={"is_visually_hidden_from_conversation": True}),
        "q": node("q", "s", "user", "How deep?"),
        "left": node("left", "q", "assistant", "No idea."),
        "call": node("call", "q", "assistant", "lookup(depth)", recipient="browser"),
        "tool": node("tool", "call", "tool", "2"),
        "a": node("a", "tool", "assistant", "Two fathoms."),
    },
    "current_node": "a",
}

EXPORTS = {
    "chatgpt": CHATGPT,
    "chatgpt, without its current node": {"mapping": CHATGPT["mapping"]},
    "claude": {
        "chat_messages": [
            {"sender": "human", "text": "How deep?", "content": []},
            {
                "sender": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Two fathoms."}],
            },
        ]
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "How deep?"}]},
            {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Two fathoms."}]},
        ]
    },
    "ai studio": {
        "chunkedPrompt": {
            "chunks": [
                {"role": "user", "text": "How deep?"},
                {"role": "model", "text": "Hm.", "isThought": True},
                {"role": "model", "text": "Two fathoms."},
            ]
        }
    },
    "takeout": {
        "header": "Gemini Apps",
        "title": "Prompted How deep?",
        "products": ["Gemini Apps"],
        "safeHtmlItem": [{"html": "<p>Two <b>fathoms</b>.</p>"}],
    },
    "copilot": {
        "responderUsername": "GitHub Copilot",
        "requests": [
            {
                "message": {"text": "How deep?"},
                "response": [{"kind": "progressMessage", "content": {"value": "Looking"}}, {"value": "Two fathoms."}],
            }
        ],
    },
    "librechat": {
        "messages": [
            {"messageId": "1", "parentMessageId": "0", "isCreatedByUser": True, "text": "How deep?"},
            {"messageId": "2", "parentMessageId": "1", "isCreatedByUser": False, "text": "No idea."},
            {"messageId": "3", "parentMessageId": "1", "isCreatedByUser": False, "text": "Two fathoms."},
        ]
    },
    "lm studio": {
        "messages": [
            {
                "versions": [{"role": "user", "content": [{"type": "text", "text": "How deep?"}]}],
                "currentlySelected": 0,
            },
            {
                "versions": [
                    {"role": "assistant", "content": [{"type": "text", "text": "No idea."}]},
                    {
                        "role": "assistant",
                        "steps": [
                            {"style": {"type": "thinking"}, "content": [{"type": "text", "text": "Hm."}]},
                            {"content": [{"type": "text", "text": "Two fathoms."}]},
                        ],
                    },
                ],
                "currentlySelected": 1,
            },
        ]
    },
    "text-generation-webui": {
        "internal": [["How deep?", "Two fathoms."]],
        "visible": [["How deep?", "Two <b>fathoms</b>."]],
    },
    "zendesk": {
        "requester_id": 1,
        "comments": [
            {"author_id": 1, "body": "How deep?"},
            {"author_id": 2, "body": "Ask the pilot first.", "public": False},
            {"author_id": 2, "body": "Two fathoms."},
        ],
    },
    "rasa": {
        "sender_id": "1",
        "events": [
            {"event": "action", "name": "action_listen"},
            {"event": "user", "text": "How deep?"},
            {"event": "bot", "text": "Two fathoms."},
        ],
    },
    "an envelope": {
        "version": 1,
        "chats": [
            {"messages": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}]}
        ],
    },
    "by id": {"a": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}]},
    "huggingchat": {
        "messages": [{"from": "user", "content": "How deep?"}, {"from": "assistant", "content": "Two fathoms."}]
    },
    "firefly": {"conversation": [{"human": "How deep?", "assistant": "Two fathoms."}]},
    "a question and its answer": {"question": "How deep?", "answer": "Two fathoms."},
    "absent columns": {"prompt": "How deep?", "completion": "Two fathoms.", "messages": None, "label": None},
}


@pytest.mark.parametrize("record", EXPORTS.values(), ids=EXPORTS)
def test_what_the_person_saw_is_learned(record: object) -> None:
    assert learned(record) == [ASKED_AND_ANSWERED]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            {"mapping": {"a": node("a", "b", "user", "x"), "b": node("b", "a", "user", "y")}, "current_node": "a"},
            "its own ancestor",
        ),
        (
            {"mapping": {"q": node("q", None, "user", {"content_type": "image_asset_pointer"})}},
            "only text can be learned",
        ),
        ({"sender_id": 1, "events": [{"event": "rewind"}]}, "taken back"),
        ({"header": "x", "title": "Used an app", "products": []}, "without a prompt"),
    ],
)
def test_what_cannot_be_known_is_refused_by_name(record: object, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        learned(record)


def test_the_best_branch_of_a_tree_is_learned_and_its_ranks_are_held() -> None:
    replies = [
        {"role": "assistant", "text": "No idea.", "rank": 1},
        {"role": "assistant", "text": "Two fathoms.", "rank": 0},
    ]
    record = {"message_tree_id": "t", "prompt": {"role": "prompter", "text": "How deep?", "replies": replies}}
    assert learned(record) == [ASKED_AND_ANSWERED]
    (held,) = (each for each in parse(json.loads(json.dumps(record)), Limits()) if each.kind == "preference")
    assert held.texts == ("How deep?", "Two fathoms.", "No idea.")


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\nTwo fathoms.<|im_end|>\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow deep?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nTwo fathoms.<|eot_id|>",
        "<s>[INST] How deep? [/INST] Two fathoms.</s>",
        "<bos><start_of_turn>user\nHow deep?<end_of_turn>\n<start_of_turn>model\nTwo fathoms.<end_of_turn>\n",
        "<|user|>\nHow deep?</s>\n<|assistant|>\nTwo fathoms.</s>",
        "### Human: How deep?### Assistant: Two fathoms.",
        "### Instruction:\nHow deep?\n\n### Response:\nTwo fathoms.",
    ],
)
def test_a_dialogue_written_out_in_a_template_is_learned_without_its_markers(text: str) -> None:
    assert learned({"text": text}) == [ASKED_AND_ANSWERED]


def test_messages_in_parts_as_programs_with_a_page_keep_them() -> None:
    said = [
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "How deep?"}]},
        {
            "id": "2",
            "role": "assistant",
            "content": "",
            "parts": [
                {"type": "step-start"},
                {"type": "reasoning", "text": "hm"},
                {"type": "text", "text": "Two fathoms."},
            ],
        },
    ]
    assert learned({"id": "c", "messages": said}) == [ASKED_AND_ANSWERED]


def test_deepseek_the_newest_branch_without_thoughts() -> None:
    def of(name: str, parent: str, *fragments: tuple[str, str]) -> dict[str, object]:
        said = [{"type": kind, "content": text} for kind, text in fragments]
        return {"id": name, "parent": parent, "message": {"model": "deepseek-chat", "files": [], "fragments": said}}

    nodes = {
        "root": {"id": "root", "parent": None, "message": None},
        "1": of("1", "root", ("REQUEST", "How deep?")),
        "2": of("2", "1", ("RESPONSE", "No idea.")),
        "3": of("3", "1", ("THINK", "hm"), ("RESPONSE", "Two fathoms.")),
    }
    assert learned({"title": "t", "mapping": nodes}) == [ASKED_AND_ANSWERED]


@pytest.mark.parametrize(
    "text",
    [
        "### Input:\nHow deep?\n\n### Response:\nTwo fathoms.",
        "### Response:\nAhoy!\n\n### Input:\nHow deep?\n\n### Response:\nTwo fathoms.",
    ],
    ids=["alone", "after-an-answer"],
)
def test_an_input_without_an_instruction_is_what_the_user_said(text: str) -> None:
    assert learned({"text": text})[0][-2:] == ASKED_AND_ANSWERED


def test_markers_inside_prose_do_not_make_it_a_dialogue() -> None:
    (sample,) = parse({"text": "ChatML begins a turn with <|im_start|>user and ends it."}, Limits())
    assert sample.kind == "text"


@pytest.mark.parametrize(
    "record",
    [
        {"text": "[/INST]" + "[INST]" * 500_000},
        {"header": "x", "title": "Prompted x", "products": [], "safeHtmlItem": [{"html": "<" * 3_000_000}]},
        {"text": "### " * 500_000},
        {"text": "<|start_header_id|>" + " " * 1_000_000},
        {"text": "### Instruction: x\n" + "### Input: abcdefghijkl\n" * 300_000 + "### Response: y"},
    ],
    ids=["llama", "takeout", "headings", "blanks", "inputs"],
)
@pytest.mark.timeout(60)
def test_hostile_repetition_takes_time_that_grows_with_its_length(record: object) -> None:
    with contextlib.suppress(FormatError):
        learned(record)


GROK = {
    "conversation": {"id": "c", "title": "t"},
    "responses": [
        {"response": {"_id": "1", "sender": "human", "message": "How deep?", "create_time": {"$date": "2025-01-01"}}},
        {
            "response": {
                "_id": "2",
                "sender": "ASSISTANT",
                "message": 'Two fathoms.<grok:render card_id="1"><argument>3</argument></grok:render>',
                "create_time": {"$date": "2025-01-02"},
                "parent_response_id": "1",
            }
        },
    ],
}


def test_grok() -> None:
    assert learned({"conversations": [GROK], "projects": []}) == [ASKED_AND_ANSWERED]
    assert learned({**GROK, "responses": GROK["responses"][::-1]}) == [ASKED_AND_ANSWERED]


@pytest.mark.parametrize(
    "record",
    [
        {"mapping": {"q": node("q", None, "user", "a", metadata={"attachments": [{"name": "p.pdf"}]})}},
        {"header": "Gemini Apps", "title": "Prompted a", "attachedFiles": ["p.jpg"], "safeHtmlItem": [{"html": "b"}]},
        {
            "responderUsername": "GitHub Copilot",
            "requests": [{"message": {"text": "a"}, "variableData": {"variables": [{"kind": "file", "name": "x.py"}]}}],
        },
    ],
    ids=["ChatGPT", "Takeout", "Copilot"],
)
def test_what_is_asked_about_a_file_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="attached"):
        parse(json.loads(json.dumps(record)), Limits())


@pytest.mark.parametrize(
    "record",
    [
        {
            "mapping": {
                "1": node("1", None, "user", "a"),
                "2": node("2", "1", "assistant", "b", metadata={"finish_details": {"type": "max_tokens"}}),
                "3": node("3", "2", "user", "c"),
                "4": node("4", "3", "assistant", "d"),
            }
        },
        {
            "chunkedPrompt": {
                "chunks": [
                    {"role": "user", "text": "a"},
                    {"role": "model", "text": "b", "finishReason": "MAX_TOKENS"},
                    {"role": "user", "text": "c"},
                    {"role": "model", "text": "d", "finishReason": "STOP"},
                ]
            }
        },
        {
            "responderUsername": "GitHub Copilot",
            "requests": [
                {"message": {"text": "a"}, "response": [{"value": "b"}], "result": {"errorDetails": {"message": "x"}}},
                {"message": {"text": "c"}, "response": [{"value": "d"}], "result": {"metadata": {}}},
            ],
        },
    ],
    ids=["ChatGPT", "AI Studio", "Copilot"],
)
def test_answers_that_were_cut_off_are_context_only(learn, record: dict[str, object]) -> None:
    assert learn(record) == [[("user", "a"), ("context", "b"), ("user", "c"), ("assistant", "d")]]
