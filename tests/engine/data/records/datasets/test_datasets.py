"""Data sets with shapes of their own."""

import json

import pytest

ASKED_AND_ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]
BEFORE = [("user", "Where?"), ("assistant", "At the pier.")]
PAIR = ["Where?", "At the pier."]
TURN = {
    "Human": "<|Human|>: How deep?<eoh>\n",
    "Commands": "<|Commands|>: None<eoc>\n",
    "MOSS": "<|MOSS|>: Two fathoms.<eom>\n",
}

SETS = {
    "MOSS": {"meta_instruction": "", "chat": {"turn_1": TURN}},
    "axolotl's segments": {
        "segments": [{"label": False, "text": "<s>How deep?\n"}, {"label": True, "text": "Two fathoms.</s>"}]
    },
    "segments in a template": {
        "segments": [
            {"label": False, "text": "<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\n"},
            {"label": True, "text": "Two fathoms.<|im_end|>"},
        ]
    },
    "UltraChat": {"id": "0", "data": ["How deep?", "Two fathoms."]},
    "turns with names": {"conversation": ["User: How deep?", "Assistant: Two fathoms."]},
    "LIMA": {"conversations": ["How deep?", "Two fathoms."], "source": "x"},
    "messages as a string": {
        "messages": '[{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}]'
    },
    "null beside what was said": {
        "messages": [
            {"role": "user", "content": None, "text": "How deep?", "tool_calls": None},
            {"role": "assistant", "text": "Two fathoms.", "function_call": None},
        ]
    },
    "other names": {"Question": "How deep?", "Answer": "Two fathoms."},
    "FLAN": {"inputs": "How deep?", "targets": "Two fathoms."},
    "CAMEL": {"message_1": "How deep?", "message_2": "Two fathoms."},
    "an older prompt": {"prompt": "\n\nHuman: How deep?\n\nAssistant:", "completion": " Two fathoms."},
    "a prompt with names": {"prompt": "User: How deep?\nAI:", "completion": " Two fathoms."},
    "a transcript": {"id": 1, "transcript": "Human: How deep?\n\nAssistant: Two fathoms."},
    "a transcript as text": {"text": "User: How deep?\n\nAssistant: Two fathoms."},
}
WITH_HISTORY = {
    "ChatGLM": {"prompt": "How deep?", "response": "Two fathoms.", "history": [PAIR]},
    "ms-swift": {"query": "How deep?", "response": "Two fathoms.", "history": [PAIR]},
    "BELLE": {
        "instruction": "Human:Where?\nAssistant:At the pier.\nHuman:How deep?\nAssistant:",
        "input": "",
        "output": "Two fathoms.",
    },
}


@pytest.mark.parametrize("record", SETS.values(), ids=SETS)
def test_it_is_a_dialogue(learn, record: object) -> None:
    assert learn(record) == [ASKED_AND_ANSWERED]


@pytest.mark.parametrize("record", WITH_HISTORY.values(), ids=WITH_HISTORY)
def test_what_was_said_before_belongs_to_it(learn, record: object) -> None:
    assert learn(record) == [[*BEFORE, *ASKED_AND_ANSWERED]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"chat": {"turn_1": {**TURN, "Commands": "<|Commands|>: Search(x)<eoc>"}}}, "with tools"),
        ({"segments": [{"label": True, "text": "a"}, {"label": True, "text": "b"}]}, "segments must alternate"),
        ({"question": "How deep?", "choices": ["1", "2"], "answer": "B"}, "choices"),
        ({"messages": [{"role": "user", "content": "<image>?"}], "images": ["a.png"]}, "'images' beside"),
        ({"text": "ahoy", "user_id": 3}, "'user_id'"),
        ({"role": "assistant", "content": "Two fathoms."}, "by itself"),
        ({"prompt": "How deep?", "completion": "Two.", "weight": 0}, "'weight' is 0"),
        ({"prompt": "How deep?", "completion": "Two.", "deleted": True}, "'deleted' is set"),
    ],
)
def test_what_cannot_be_known_is_refused_by_name(problems, record: object, reason: str) -> None:
    assert reason in problems(record)[0]


def test_what_is_beside_a_question_belongs_to_it(learn) -> None:
    record = {"system": "Be brief.", "context": "The tarn is deep.", "question": "How deep?", "answer": "Two fathoms."}
    assert learn(record) == [
        [("system", "Be brief."), ("user", "How deep?\n\nThe tarn is deep."), ASKED_AND_ANSWERED[1]]
    ]


@pytest.mark.parametrize("mark", [{"training": False}, {"train": "false"}, {"train_detail": [{"train": False}]}])
def test_a_turn_that_is_not_to_be_trained_is_context(learn, mark: dict[str, object]) -> None:
    turns = [("user", "How deep?"), ("assistant", "Two fathoms."), ("user", "Sure?"), ("assistant", "Yes.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    messages[1] |= mark
    assert learn({"messages": messages}) == [[turns[0], ("context", "Two fathoms."), *turns[2:]]]


TOOL = {"name": "sound", "description": "Depth"}
CALLED = [("system", f"Tools:\n{json.dumps([TOOL])}"), ("user", "How deep?")]
CALL = '{"name": "sound", "arguments": {"at": "the pilot\'s pier", "n": 2}}'


def test_xlam(learn) -> None:
    record = {"query": "How deep?", "answers": f"[{CALL}]", "tools": json.dumps([TOOL])}
    assert learn(record) == [[*CALLED, ("assistant", CALL)]]


def test_glaive(learn, problems) -> None:
    system = (
        f"SYSTEM: You are a helpful assistant with access to the following functions. Use them -\n{json.dumps(TOOL)}\n"
    )
    arguments = '{"at": "the pilot\\\'s pier", "n": 2}'
    call = f"""<functioncall> {{"name": "sound", "arguments": '{arguments}'}} <|endoftext|>"""
    result = 'FUNCTION RESPONSE: {"fathoms": 2}'
    chat = f"USER: How deep?\n\n\nASSISTANT: {call}\n\n\n{result}\n\n\nASSISTANT: Two fathoms. <|endoftext|>\n\n\n"
    assert learn({"system": system, "chat": chat}) == [
        [*CALLED, ("assistant", CALL), ("tool", '{"fathoms": 2}'), ("assistant", "Two fathoms.")]
    ]
    (problem,) = problems({"system": system, "chat": "USER: How deep?\n\nASSISTANT: <functioncall> sound()"})
    assert "a call that cannot be read" in problem
