"""Transcripts in the ways in which people and programs write who speaks."""

import pytest

from engine.data.records.limits import FormatError
from engine.data.records.written.transcripts import conversations_in, is_answered, is_transcript

TURNS = [("user", "How deep is it?"), ("assistant", "Two fathoms."), ("user", "And there?"), ("assistant", "Mud.")]

WAYS = [
    ("User: ", "Assistant: "),
    ("**User:** ", "**Assistant:** "),
    ("**User**: ", "**Assistant**: "),
    ("**You:** ", "**ChatGPT:** "),
    ("**User:**\n", "**GPT-4:**\n"),
    ("## User\n\n", "## Assistant\n\n"),
    ("#### You:\n", "#### ChatGPT:\n"),
    ("## \N{BUST IN SILHOUETTE} User\n", "## \N{ROBOT FACE} Assistant\n"),
    ("## Prompt:\n", "## Response:\n"),
    ("**User**\n\n", "**Assistant**\n\n"),
    ("**You**\n\n", "**llama3**\n\n"),
    ("*User:* ", "*Assistant:* "),
    ("[User]: ", "[Assistant]: "),
    ("[USER] ", "[ASSISTANT] "),
    ("User\N{FULLWIDTH COLON}", "Assistant\N{FULLWIDTH COLON}"),
    ("> User: ", "> Assistant: "),
    (">> User:\n", ">> ChatGPT:\n"),
    ("- **User**: ", "- **Assistant**: "),
    ("User> ", "Assistant> "),
    ("==== Human Message ====\n", "====== Ai Message ======\n"),
    ("**User**\n\n", "**Cursor**\n\n"),
    ("Instruct: ", "Output: "),
    ("10:02 User: ", "10:03 Assistant: "),
    ("User (10:02): ", "Assistant (10:03): "),
    ("Me: ", "Claude: "),
    ("Você: ", "ChatGPT: "),
    ("You\n", "ChatGPT\n"),
    ("USER\n", "ASSISTANT\n"),
    ("* User\n", "* Assistant\n"),
    ("User\n----\n\n", "Assistant\n---------\n\n"),
    ("Q1. ", "A1. "),
    ("Frage: ", "Antwort: "),
    ("Instruction: ", "Response: "),
    ("You said\n", "Gemini said\n"),
    ("You said:\n", "Claude responded:\n"),
    ("## Prompt:\n1/1/2025, 10:00:00 AM\n\n", "## Response:\n1/1/2025, 10:00:05 AM\n\n"),
    ("Question: ", "Answer: "),
    ("Q1: ", "A1: "),
    ("Q. ", "A. "),
    ("Customer: ", "Support Agent: "),
    ("You said:\n", "Copilot said:\n"),
    ("User\n", "Assistant\n"),
    ("=== User ===\n", "=== Assistant ===\n"),
    ("(User) ", "(Assistant) "),
    ("User - ", "Assistant - "),
]


def turns(text: str) -> list[list[tuple[str, str]]]:
    return [[(turn.role, turn.content.strip()) for turn in talk] for talk in conversations_in(text, {})]


def written(user: str, assistant: str) -> str:
    return "\n\n".join(f"{user if role == 'user' else assistant}{text}" for role, text in TURNS)


@pytest.mark.parametrize("way", WAYS, ids=[user.strip() for user, _ in WAYS])
def test_it_is_read(way: tuple[str, str]) -> None:
    assert turns(written(*way)) == [TURNS]
    assert is_answered(written(*way))


@pytest.mark.parametrize(
    "preface",
    [
        "# My chat\n\nExported on 2025-01-01\n\n---\n\n",
        "---\ntitle: Depths\ndate: 2025-01-01\n---\n\n",
        "Conversation\n#####\nid: 3\n\n",
    ],
)
def test_what_stands_before_it_is_not_learned(preface: str) -> None:
    assert turns(preface + written("**User:** ", "**Assistant:** ")) == [TURNS]


def test_rules_between_all_turns_part_no_conversations() -> None:
    text = "\n\n---\n\n".join(written("**User:** ", "**Assistant:** ").split("\n\n"))
    assert turns(text) == [TURNS]


def test_a_rule_before_a_question_parts_conversations() -> None:
    text = "User: How deep is it?\nAssistant: Two fathoms.\n---\nUser: And there?\nAssistant: Mud."
    assert turns(text) == [TURNS[:2], TURNS[2:]]


@pytest.mark.parametrize("heading", ["Conversation 2", "## Dialogue 2:", "=== Chat #2 ==="])
def test_a_numbered_heading_parts_conversations(heading: str) -> None:
    asked, answered = "User: How deep is it?\nAssistant: Two fathoms.\n\n", "User: And there?\nAssistant: Mud."
    assert turns(f"{asked}{heading}\n{answered}") == [TURNS[:2], TURNS[2:]]


def test_the_number_of_a_turn_was_said_by_nobody() -> None:
    text = "Turn 1\nUser: How deep is it?\nAssistant: Two fathoms.\n\nTurn 2\nUser: And there?\nAssistant: Mud."
    assert turns(text) == [TURNS]


def test_what_an_exporter_writes_around_the_turns_is_not_learned() -> None:
    said = written("## Prompt:\n", "## Response:\n")
    text = f"# Depths\n\n**User:** Ada (ada@example.org)\n\n{said}\n\n---\nPowered by [Exporter](https://example.org)"
    assert turns(text) == [TURNS]


@pytest.mark.parametrize(
    "text",
    [
        "Chat 1\nUser: How deep is it?\nAssistant: Two fathoms.\n\nChat 2\nUser: And there?\nAssistant: Mud.",
        "# One\n\n## User\nHow deep is it?\n## Assistant\nTwo fathoms.\n"
        "# Two\n\n## User\nAnd there?\n## Assistant\nMud.",
    ],
    ids=["numbers", "headings"],
)
def test_a_title_parts_conversations(text: str) -> None:
    assert turns(text) == [TURNS[:2], TURNS[2:]]


def test_instructions_after_an_answer_begin_another_conversation() -> None:
    one = "## System\nBe brief.\n\n## User\nHow deep is it?\n\n## Assistant\nTwo fathoms.\n\n"
    assert turns(one * 2) == [[("system", "Be brief."), *TURNS[:2]]] * 2


def test_names_in_code_and_in_other_forms_begin_no_turn() -> None:
    said = "```yaml\nuser: x\n## User\n```\n\n### Notes\n\nUser: is a role."
    assert turns(f"## User\nHow?\n\n## Assistant\n{said}") == [[("user", "How?"), ("assistant", said)]]


def test_a_stranger_between_two_questions_is_named() -> None:
    with pytest.raises(FormatError, match="'Expert'"):
        turns("User: How deep?\nExpert: Two.\nUser: And there?\nAssistant: Mud.")


@pytest.mark.parametrize(
    "text",
    [
        "You: the reader of this book.\nMe: its author.",
        "Question: what is deep?\n\nNobody asks that.",
        "## Prompt\n\nWrite short ones.\n\n## Style\n\nBe kind.",
        "A: only one letter",
        "# Tool\n\n## System\n\nLinux.\n\n## User\n\nRun it.\n\n## Support\n\nWrite to us.",
        "Q. Smith wrote this.",
    ],
)
def test_prose_is_no_transcript(text: str) -> None:
    assert not is_transcript(text, {})


def test_instructions_behind_the_first_question_come_first() -> None:
    (turns,) = conversations_in("## Prompt\n\nHow deep?\n\n## System\n\nBe brief.\n\n## Response\n\nTwo fathoms.")
    assert [(turn.role, turn.content.strip()) for turn in turns] == [
        ("system", "Be brief."),
        ("user", "How deep?"),
        ("assistant", "Two fathoms."),
    ]


def test_the_line_of_the_program_that_exported_it_is_no_part_of_it() -> None:
    head = "# Boats\n_Exported on 1/1/2025 at 10:00:00 GMT+1 from Cursor (0.50)_\n\n---\n\n"
    turns = "**User**\n\nHow deep?\n\n---\n\n**Cursor**\n\nTwo.\n\n---\n\n**User**\n\nWhy?\n\n---\n\n**Cursor**\n\nMud."
    (found,) = conversations_in(head + turns)
    assert [turn.content.strip() for turn in found] == ["How deep?", "Two.", "Why?", "Mud."]


def test_headings_in_an_answer_are_a_part_of_it() -> None:
    answer = "# The pier\nTwo fathoms.\n\n## At high tide\nFive."
    text = f"### USER\nHow deep?\n\n### ASSISTANT\n{answer}\n\n### USER\nAnd now?\n\n### ASSISTANT\nMud."
    (said,) = conversations_in(text)
    assert [turn.content.strip() for turn in said] == ["How deep?", answer, "And now?", "Mud."]


def test_a_title_like_the_first_one_begins_another_conversation() -> None:
    title = "# Conversation: Tides\nDate: 2025-01-20\n\n---\n\n"
    talk = "## User\nHow deep?\n\n## Assistant\n# Deep\nTwo.\n\n"
    said = [[turn.content.strip() for turn in each] for each in conversations_in(f"{title}{talk}{title}{talk}".strip())]
    assert said == [["How deep?", "# Deep\nTwo."]] * 2
