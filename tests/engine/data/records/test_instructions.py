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


@pytest.mark.parametrize("key", ["context", "contexts", "passages", "documents", "retrieved_contexts"])
def test_what_a_question_is_about_may_be_several_texts(learn, key: str) -> None:
    asked = ("user", f"How deep?\n\n{ABOUT}\n\nIt is old.")
    for record in ({"question": "How deep?", "answer": "Two."}, {"instruction": "How deep?", "output": "Two."}):
        assert learn({**record, key: [ABOUT, "It is old."]}) == [[asked, ("assistant", "Two.")]]


def test_documents_have_a_title(learn) -> None:
    documents = [{"title": "Pier", "text": ABOUT}]
    record = {"question": "How deep?", "answer": "Two.", "documents": documents}
    assert learn(record) == [[("user", f"How deep?\n\nPier\n{ABOUT}"), ("assistant", "Two.")]]
    assert learn({"messages": [ASKED, ANSWERED], "documents": documents}) == [[("system", f"Pier\n{ABOUT}"), *SAID]]


def test_what_an_answer_rests_on_must_be_text(learn, problems) -> None:
    record = {"question": "How deep?", "answer": "Two."}
    assert "'context' beside a question" in problems({**record, "context": {"sentences": [[ABOUT]]}})[0]
    assert learn({**record, "context": [1, 2, 3]}) == [SAID]


@pytest.mark.parametrize("key", ["image_path", "files", "attachments", "audio_url"])
def test_a_question_about_a_file_is_refused(problems, key: str) -> None:
    assert f"'{key}'" in problems({"question": "How deep?", "answer": "Two.", key: "x"})[0]


def test_instructions_in_parts_stand_before_the_context(learn) -> None:
    record = {"system": [{"text": "Be brief."}], "context": ABOUT, "messages": [ASKED, ANSWERED]}
    assert learn(record) == [[("system", f"Be brief.\n\n{ABOUT}"), *SAID]]


def test_paragraphs_of_hotpot_and_musique_stand_behind_the_question(learn) -> None:
    asked = {"question": "Who built it?", "answer": "Ann"}
    said = [[("user", "Who built it?\n\nMill\nBuilt by Ann. It is old."), ("assistant", "Ann")]]
    assert learn({**asked, "context": [["Mill", ["Built by Ann.", " It is old."]]]}) == said
    assert learn({**asked, "context": {"title": ["Mill"], "sentences": [["Built by Ann.", " It is old."]]}}) == said
    assert learn({**asked, "paragraphs": [{"title": "Mill", "paragraph_text": "Built by Ann. It is old."}]}) == said
