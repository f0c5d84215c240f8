"""Sessions of Cline and Roo Code: what the person said, what was called, and none of what the program writes."""

import pytest

from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse

EDITOR = "<environment_details>\n# VSCode Visible Files\ndepth.py\n</environment_details>"


def user(*texts: str) -> dict[str, object]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in (*texts, EDITOR)]}


def model(text: str) -> dict[str, object]:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def called(session: list[dict[str, object]]) -> list[tuple[str, str, object]]:
    (dialogue,) = parse(session, Limits())
    return [(m.role, m.content, [(c.name, c.arguments) for c in m.tool_calls]) for m in dialogue.messages]


DONE = "<attempt_completion>\n<result>\nTwo fathoms.\n</result>\n</attempt_completion>"
DONE_CALL = ("attempt_completion", {"result": "Two fathoms."})
MENTIONED = '<file_content path="a.md">\n<feedback>\nNot said.\n</feedback>\n</file_content>'


@pytest.mark.parametrize("tag", ["task", "user_message", "feedback"])
def test_what_the_person_said_stands_in_its_tags(tag: str) -> None:
    asked = user(f"<{tag}>\nHow deep?\nSay it.\n</{tag}>", MENTIONED)
    assert called([asked, model(DONE)]) == [("user", "How deep?\nSay it.", []), ("assistant", "", [DONE_CALL])]


def test_calls_and_results_in_texts_are_calls_and_results() -> None:
    look = "I look.\n\n<execute_command>\n<command>sed 1p\n[x] a</command>\n</execute_command>"
    given = "1\n<answer>\nof a file\n</answer>"
    session = [user("<task>\nHow deep?\n</task>"), model(look)]
    session += [user("[execute_command for 'sed 1p\n[x] a'] Result:", given), model(DONE)]
    assert called(session) == [
        ("user", "How deep?", []),
        ("assistant", "I look.", [("execute_command", {"command": "sed 1p\n[x] a"})]),
        ("tool", given, []),
        ("assistant", "", [DONE_CALL]),
    ]


@pytest.mark.parametrize(
    ("result", "reply", "left"),
    [
        ("The user denied this operation and provided the following feedback:\n", "feedback", True),
        ("", "answer", False),
    ],
)
def test_what_the_person_says_to_a_call_is_theirs(result: str, reply: str, left: bool) -> None:
    session = [user("<task>\nHow deep?\n</task>"), model(DONE)]
    session += [user("[attempt_completion] Result:", f"{result}<{reply}>\nAnd there?\n</{reply}>"), model("Nine.")]
    denied = [("tool", result.strip(), [])] if left else []
    assert called(session)[2:] == [*denied, ("user", "And there?", []), ("assistant", "Nine.", [])]


@pytest.mark.parametrize("notice", ["[ERROR] You did not use a tool!", "[TASK RESUMPTION] This task was interrupted."])
def test_notices_of_the_program_say_nothing(notice: str) -> None:
    session = [user("<task>\nHow deep?\n</task>"), model("Hm."), user(notice), model(DONE)]
    assert [role for role, _, _ in called(session)] == ["user", "assistant", "assistant"]


def test_results_that_are_parts_of_their_own_lose_what_the_editor_shows() -> None:
    use = {"type": "tool_use", "id": "t", "name": "read_file", "input": {"path": "a"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": f"[read_file for 'a'] Result:\n2\n\n{EDITOR}"}
    session = [user("<task>\nHow deep?\n</task>"), {"role": "assistant", "content": [use]}]
    session += [{"role": "user", "content": [result]}, model("Two.")]
    assert [said for _, said, _ in called(session)] == ["How deep?", "", "2", "Two."]


def test_tags_in_other_conversations_are_what_was_said(learn) -> None:
    asked = "<task>\nHow deep?\n</task>"
    assert learn([{"role": "user", "content": asked}, {"role": "assistant", "content": "Two."}]) == [
        [("user", asked), ("assistant", "Two.")]
    ]


def test_what_the_page_shows_is_no_plain_text() -> None:
    with pytest.raises(FormatError, match="a message, but it does not say"):
        parse({"ts": 1, "type": "say", "say": "text", "text": "How deep?"}, Limits())


def test_who_only_asks_about_the_tag_has_no_session_of_it() -> None:
    asked = ["What is the <environment_details> block?", "[ERROR] is what I then get. Why?"]
    said = [{"role": role, "content": text} for ask in asked for role, text in (("user", ask), ("assistant", "So."))]
    assert [text for role, text, _ in called(said) if role == "user"] == asked
