"""A file with the requests of a batch and their results is read; a result alone is refused."""

import pytest

QUESTION = [{"role": "user", "content": "How deep?"}]
LEARNED = [[("user", "How deep?"), ("assistant", "Two fathoms.")]]
CHOICES = {"choices": [{"message": {"role": "assistant", "content": "Two fathoms."}}]}
MESSAGE = {"role": "assistant", "content": [{"type": "text", "text": "Two fathoms."}]}
BATCHES = {
    "OpenAI": (
        {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": QUESTION}},
        {"id": "b", "custom_id": "1", "response": {"status_code": 200, "body": CHOICES}, "error": None},
    ),
    "Anthropic": (
        {"custom_id": "1", "params": {"max_tokens": 9, "messages": QUESTION}},
        {"custom_id": "1", "result": {"type": "succeeded", "message": MESSAGE}},
    ),
    "Gemini": (
        {"key": "1", "request": {"contents": [{"parts": [{"text": "How deep?"}]}]}},
        {"key": "1", "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Two fathoms."}]}}]}},
    ),
}


@pytest.mark.parametrize("lines", BATCHES.values(), ids=BATCHES)
def test_a_request_and_its_result_are_a_dialogue(learn_rows, lines: tuple[object, object]) -> None:
    request, result = lines
    other = {"custom_id": "2", "body": {"messages": [{"role": "user", "content": "Why?"}]}}
    assert learn_rows([other, request, result]) == LEARNED


@pytest.mark.parametrize("lines", BATCHES.values(), ids=BATCHES)
def test_half_of_a_batch_is_not_learned(learn_rows, lines: tuple[object, object]) -> None:
    for half in lines:
        assert learn_rows([half]) == []


def test_a_request_that_failed_has_no_answer(learn_rows) -> None:
    request, _ = BATCHES["Anthropic"]
    assert learn_rows([request, {"custom_id": "1", "result": {"type": "errored", "error": {}}}]) == []
