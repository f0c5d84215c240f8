"""An answer that did not come to its end is context only, whoever says so and however."""

import pytest

from tests.engine.data.records.content.conftest import samples, weight

CUT_OFF: tuple[dict[str, object], ...] = (
    {"finish_reason": "length"},
    {"finishReason": "MAX_TOKENS"},
    {"stop_reason": "max_tokens"},
    {"done_reason": "length"},
    {"finish_reason": "content_filter"},
    {"response_metadata": {"finish_reason": "length"}},
    {"metadata": {"finish_details": {"type": "interrupted"}}},
    {"genInfo": {"stats": {"stopReason": "maxPredictedTokensReached"}}},
    {"incomplete_details": {"reason": "max_output_tokens"}},
    {"status": "stopped"},
    {"status": "in_progress"},
    {"error": {"content": "500"}},
    {"interrupted": True},
    {"isError": "true"},
    {"complete": False},
)
WHOLE: tuple[dict[str, object], ...] = (
    {"finish_reason": "stop"},
    {"finish_reason": "tool_calls"},
    {"finishReason": "STOP"},
    {"stop_reason": "end_turn"},
    {"finish_reason": None},
    {"status": "completed"},
    {"error": None},
    {"interrupted": False},
    {"complete": True},
    {"response_metadata": {"model": "m"}},
)


@pytest.mark.parametrize("marks", CUT_OFF, ids=str)
def test_an_answer_that_was_cut_off_is_context_only(marks: dict[str, object]) -> None:
    assert weight(marks) == 0


@pytest.mark.parametrize("marks", WHOLE, ids=str)
def test_an_answer_that_came_to_its_end_is_learned(marks: dict[str, object]) -> None:
    assert weight(marks) == 1


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "a", "completion": "b", "finish_reason": "length"},
        {
            "messages": [{"role": "user", "content": "a"}],
            "choices": [{"message": {"role": "assistant", "content": "b"}, "finish_reason": "length"}],
        },
        {"prompt": "a", "completion": "b", "status": "failed"},
        {"prompt": "a", "completion": "b", "error": "timeout"},
        {"prompt": "a", "completion": "b", "is_complete": False},
        {"request": {"prompt": "a"}, "response": {"response": "b", "done_reason": "length"}},
        {"request": {"input": "a"}, "response": {"status": "incomplete", "output_text": "b"}},
        {
            "request": {"contents": "a"},
            "response": {"candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "SAFETY"}]},
        },
    ],
    ids=["completion", "choice", "status", "error", "not complete", "Ollama", "Responses", "Gemini"],
)
def test_the_only_answer_of_a_record_is_refused_where_it_was_cut_off(problems, record: dict[str, object]) -> None:
    (problem,) = problems(record)
    assert "cut off" in problem


def test_what_was_cut_off_at_the_end_costs_no_answer_before_it(learn) -> None:
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, "abcd", strict=True)]
    record = {"messages": turns, "finish_reason": "length"}
    assert learn(record) == [[("user", "a"), ("assistant", "b"), ("user", "c"), ("context", "d")]]


def test_a_preference_whose_answer_was_cut_off_is_not_held(problems) -> None:
    (problem,) = problems({"prompt": "a", "chosen": "b", "rejected": "c", "finish_reason": "length"})
    assert "cut off" in problem
    assert samples({"prompt": "a", "chosen": "b", "rejected": "c", "finish_reason": "stop"})
