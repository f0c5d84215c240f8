"""Requests with their responses, as they are logged, are dialogues."""

import json

import pytest

ASKED = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How deep?"}]}
LEARNED = [[("system", "Be brief."), ("user", "How deep?"), ("assistant", "Two fathoms.")]]
MESSAGE = {"role": "assistant", "content": "Two fathoms."}
CHOICES = {"object": "chat.completion", "choices": [{"index": 0, "message": MESSAGE}]}
BLOCKS = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Two fathoms."}],
}
OUTPUT = [
    {"type": "reasoning"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two fathoms."}]},
]
CONTENTS = {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"parts": [{"text": "How deep?"}]}]}
CANDIDATES = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Two fathoms."}]}}]}

LOGS = {
    "chat completions": {"request": ASKED, "response": CHOICES},
    "bodies": {"request": {"url": "/v1", "body": ASKED}, "response": {"status": 200, "body": CHOICES}},
    "bodies as strings": {"request_body": json.dumps(ASKED), "response_body": json.dumps(CHOICES)},
    "Anthropic": {
        "request": {"system": [{"type": "text", "text": "Be brief."}], "messages": ASKED["messages"][1:]},
        "response": BLOCKS,
    },
    "Vertex": {"request": CONTENTS, "response": CANDIDATES},
    "Ollama": {"request": ASKED, "response": {"message": MESSAGE, "done": True}},
    "messages with choices": {**ASKED, **CHOICES},
    "messages with a response": {**ASKED, "response": "Two fathoms."},
    "responses": {"input": [ASKED["messages"][1]], "instructions": "Be brief.", "output": OUTPUT},
    "responses to a string": {"input": "How deep?", "instructions": "Be brief.", "output": OUTPUT},
    "Langfuse": {"input": ASKED["messages"], "output": MESSAGE},
    "LangSmith": {"inputs": ASKED, "outputs": {"output": MESSAGE}},
    "evals": {"input": ASKED["messages"], "ideal": "Two fathoms."},
}


@pytest.mark.parametrize("record", LOGS.values(), ids=LOGS)
def test_what_was_asked_and_answered_is_learned(learn, record: object) -> None:
    assert learn(record) == LEARNED


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"choices": [{"message": MESSAGE}, {"message": MESSAGE}]}, "2 choices"),
        ({"error": {"message": "overloaded"}}, "failed"),
        ({"usage": 3}, "none of these is known to hold an answer"),
        ('{"choices": [', "begins like JSON"),
    ],
)
def test_a_response_without_one_answer_is_refused(problems, response: object, reason: str) -> None:
    [problem] = problems({"request": ASKED, "response": response})
    assert reason in problem


def test_messages_that_end_with_an_answer_are_not_given_another(learn) -> None:
    record = {"messages": [*ASKED["messages"], MESSAGE], "answer": "2"}
    assert learn(record) == LEARNED
