"""Lines of Claude Code that name the one behind which they were written: the last branch counts, each line once."""

import pytest


def line(role: str, content: object, name: str, behind: str | None, **marks: object) -> dict[str, object]:
    said = {"role": role, "content": content}
    return {"type": role, "message": said, "uuid": name, "parentUuid": behind, "sessionId": "s", **marks}


def call(name: str) -> list[dict[str, object]]:
    return [{"type": "tool_use", "id": name, "name": "sound", "input": {}}]


def result(name: str) -> list[dict[str, object]]:
    return [{"type": "tool_result", "tool_use_id": name, "content": name}]


def said(learned: list[list[tuple[str, str]]]) -> list[str]:
    (dialogue,) = learned
    return [f"({content})" if role == "context" else content for role, content in dialogue]


ASKED, ANSWERED = line("user", "How deep?", "1", None), line("assistant", "Two.", "2", "1")
NOTE = {"type": "system", "content": "x", "uuid": "3", "parentUuid": "2", "sessionId": "s"}
LEFT = [line("user", "Left?", "4", "3"), line("assistant", "Left.", "5", "4")]


@pytest.mark.parametrize("behind", ["2", "3"])
def test_the_branch_with_the_last_line_is_the_conversation(learn_rows, behind: str) -> None:
    rows = [ASKED, ANSWERED, NOTE, *LEFT, line("user", "There?", "6", behind), line("assistant", "Nine.", "7", "6")]
    assert said(learn_rows(rows)) == ["How deep?", "Two.", "There?", "Nine."]


def test_a_first_question_that_was_asked_anew_is_the_first(learn_rows) -> None:
    rows = [ASKED, ANSWERED, line("user", "There?", "6", None), line("assistant", "Nine.", "7", "6")]
    assert said(learn_rows(rows)) == ["There?", "Nine."]


def test_an_answer_that_was_given_anew_is_the_answer(learn_rows) -> None:
    assert said(learn_rows([ASKED, ANSWERED, line("assistant", "Nine.", "7", "1")])) == ["How deep?", "Nine."]


def test_lines_that_stand_twice_count_once(learn_rows) -> None:
    assert said(learn_rows([ASKED, ANSWERED, ASKED, {**ANSWERED, "isMeta": False}])) == ["How deep?", "Two."]


def test_results_of_calls_made_at_once_all_count(learn_rows) -> None:
    rows = [ASKED, line("assistant", call("a"), "2", "1"), line("assistant", call("b"), "3", "2")]
    rows += [line("user", result("a"), "4", "2"), line("user", result("b"), "5", "3")]
    assert said(learn_rows([*rows, line("assistant", "Two.", "6", "5")]))[-3:] == ["a", "b", "Two."]
    both = [ASKED, line("assistant", [*call("a"), *call("b")], "2", "1")]
    both += [line("user", result("a"), "3", "2"), line("user", result("b"), "4", "2")]
    assert said(learn_rows([*both, line("assistant", "Two.", "5", "4")]))[-3:] == ["a", "b", "Two."]


def test_answers_behind_a_summary_are_context_until_somebody_asks(learn_rows) -> None:
    summary = line("user", "It was about depths.", "0", None, isCompactSummary=True)
    rows = [line("assistant", "So it is.", "a", "0"), line("user", "How deep?", "1", "a"), ANSWERED]
    assert said(learn_rows([summary, *rows])) == ["(So it is.)", "How deep?", "Two."]


def test_what_was_said_before_a_summary_stays(learn_rows) -> None:
    note = {"type": "system", "subtype": "compact_boundary", "uuid": "b", "parentUuid": None, "sessionId": "s"}
    summary = line("user", "It was about depths.", "c", "b", isCompactSummary=True)
    rows = [
        line("assistant", "So it is.", "d", "c"),
        line("user", "There?", "e", "d"),
        line("assistant", "No.", "f", "e"),
    ]
    assert said(learn_rows([ASKED, ANSWERED, note, summary, *rows])) == [
        "How deep?",
        "Two.",
        "(So it is.)",
        "There?",
        "No.",
    ]
