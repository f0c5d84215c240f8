"""Chats of WhatsApp as phones write them: dates of many countries, notices, pictures, deleted and edited messages."""

import pytest

from tests.engine.data.readers.messengers.conftest import Read

ANSWERED = [("user", "is the ford passable\nor do I go round?"), ("assistant", "go round: knee deep")]
STAMPS = {
    "Android": ("31/12/2024, 22:45 - ", "31/12/2024, 22:46 - "),
    "Android in America": ("12/31/24, 10:45\u202fPM - ", "12/31/24, 10:46\u202fPM - "),
    "Android in Germany": ("31.12.24, 22:45 - ", "31.12.24, 22:46 - "),
    "Android in Spain": ("31/12/24, 10:45 p.\u00a0m. - ", "31/12/24, 10:46 p.\u00a0m. - "),
    "Android in Japan": ("2024/12/31 22:45 - ", "2024/12/31 22:46 - "),
    "Android in Egypt": (
        "\u0663\u0661\u200f/\u0661\u0662\u200f/\u0662\u0660\u0662\u0664, \u0661\u0660:\u0664\u0665 م - ",
        "\u0663\u0661\u200f/\u0661\u0662\u200f/\u0662\u0660\u0662\u0664, \u0661\u0660:\u0664\u0666 م - ",
    ),
    "iOS": ("[31.12.24, 22:45:01] ", "[31.12.24, 22:46:09] "),
    "iOS in America": ("[12/31/24, 10:45:01\u202fPM] ", "\u200e[12/31/24, 10:46:09\u202fPM] "),
    "iOS in China": ("[2024/12/31 下午10:45:01] ", "[2024/12/31 下午10:46:09] "),
    "Signal": ("[2024-12-31 22:45] ", "[2024-12-31 22:46] "),
}


@pytest.mark.parametrize("stamps", STAMPS.values(), ids=STAMPS)
def test_dates_of_any_country_begin_a_message(read: Read, stamps: tuple[str, str]) -> None:
    asked, answered = stamps
    text = f"{asked}Ada: is the ford passable\nor do I go round?\n{answered}Bo Ek: go round: knee deep\n"
    assert read(text, assistant=("Bo Ek",)) == ([ANSWERED], [])


def test_times_tell_which_number_is_the_day(read: Read) -> None:
    days = [f"{day}/5/24, 09:00 - Ada: q{day}?\n{day}/5/24, 09:01 - Bo: a{day}.\n" for day in (9, 10, 11, 13)]
    said, _ = read("".join(days), assistant=("Bo",))
    assert said == [[("user", f"q{day}?"), ("assistant", f"a{day}.")] for day in (9, 10, 11, 13)]


NOTICES = [
    "1/1/24, 10:00 - Messages and calls are end-to-end encrypted. No one outside of this chat can read them.",
    "1/1/24, 10:00 - Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.",
    '1/1/24, 10:00 - Ada changed the subject from "Fords" to "Fords: all of them"',
    "1/1/24, 10:00 - Ada created group",
    "1/1/24, 10:00 - Missed voice call",
    "1/1/24, 10:00 - Bo: This message was deleted",
    "1/1/24, 10:00 - Bo: Diese Nachricht wurde gelöscht.",
    "1/1/24, 10:00 - Bo: null",
    "[1/1/24, 10:00:00] Fords: \u200eMessages and calls are end-to-end encrypted.",
    "[1/1/24, 10:00:00] Bo: \u200eThis message was deleted.",
]


@pytest.mark.parametrize("notice", NOTICES)
def test_what_the_program_writes_is_not_learned(read: Read, notice: str) -> None:
    stamp = "[1/1/24, 10:0{}:00] " if notice.startswith("[") else "1/1/24, 10:0{} - "
    text = "\n".join([notice, f"{stamp.format(1)}Ada: how deep?", f"{stamp.format(2)}Bo: knee deep", notice])
    said, _ = read(text, assistant=("Bo",))
    assert said == [[("user", "how deep?"), ("assistant", "knee deep")]]


@pytest.mark.parametrize(
    "media",
    [
        *("<Media omitted>", "<Medien ausgeschlossen>", "<Multimedia omitido>", "<省略多媒体文件>"),
        *("\u200eimage omitted", "\u200e<attached: 0001-PHOTO.jpg>", "IMG-2024-WA0001.jpg (file attached)"),
    ],
)
def test_a_picture_is_not_learned_and_what_is_answered_to_it_is_context(read: Read, media: str) -> None:
    chat = ["Ada: how deep?", "Bo: knee deep", f"Ada: {media}", "Bo: pretty!"]
    said, (reason,) = read("\n".join(f"1/1/24, 10:00 - {line}" for line in chat), assistant=("Bo",))
    assert said == [[("user", "how deep?"), ("assistant", "knee deep"), ("assistant*", "pretty!")]]
    assert "pictures" in reason


def test_a_note_that_a_message_was_edited_was_not_said(read: Read) -> None:
    chat = "1/1/24, 10:00 - Ada: how deep?\n1/1/24, 10:01 - Bo: knee deep <This message was edited>"
    assert read(chat, assistant=("Bo",))[0] == [[("user", "how deep?"), ("assistant", "knee deep")]]


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_a_log_is_no_chat(read: Read, level: str) -> None:
    _, (reason,) = read(f"[2024-01-01 10:00:00] {level}: started\n[2024-01-01 10:00:01] {level}: ended\n")
    assert "seems to be a log" in reason


def test_a_transcript_with_dates_is_no_chat_of_people(read: Read) -> None:
    text = "[2024-12-31 22:45:01] User: is it passable\n[2024-12-31 22:46:09] Assistant: go round\n"
    assert read(text) == ([[("user", "is it passable"), ("assistant", "go round")]], [])
