"""What stands beside a question, and what the answers rest on, is part of what is asked."""

import pytest

ABOUT = "The harbour is two fathoms deep."
ASKED, ANSWERED = {"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two."}
SAID = [("user", "How deep?"), ("assistant", "Two.")]


@pytest.mark.parametrize("context", [ABOUT, [ABOUT]], ids=["text", "list"])
@pytest.mark.parametrize("messages", ["messages", "conversations"])
def test_the_context_of_messages_is_part_of_the_instructions(learn, messages: str, context: object) -> None:
    record = {"context": context, messages: [ASKED, ANSWERED]}
    assert learn(record) == [[("system", ABOUT), *SAID]]
    assert learn({"system": "Be brief.", **record}) == [[("system", f"Be brief.\n\n{ABOUT}"), *SAID]]


def test_a_context_that_somebody_says_is_not_said_twice(learn) -> None:
    asked = f"{ABOUT} How deep?"
    record = {"context": ABOUT, "messages": [{"role": "user", "content": asked}, ANSWERED]}
    assert learn(record) == [[("user", asked), ("assistant", "Two.")]]
    assert learn({"context": ABOUT, "prompt": asked, "completion": "Two."}) == [
        [("user", asked), ("assistant", "Two.")]
    ]


def test_the_context_of_a_prompt_stands_behind_it(learn) -> None:
    record = {"context": ABOUT, "prompt": "How deep?", "completion": "Two."}
    assert learn(record) == [[("user", f"How deep?\n\n{ABOUT}"), ("assistant", "Two.")]]


@pytest.mark.parametrize("context", [{"user_id": 1}, None, "", 3, [{"id": 1}]])
def test_a_context_that_is_no_text_is_no_part_of_it(learn, context: object) -> None:
    assert learn({"context": context, "messages": [ASKED, ANSWERED]}) == [SAID]
