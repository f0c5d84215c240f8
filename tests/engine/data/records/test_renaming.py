"""Columns, role words and people of other names, as the settings name them."""

import io
import json
import sqlite3
from pathlib import Path

import pytest

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Field, Names, Part, key
from engine.data.samples import Role

COLUMNS: dict[str, Field] = {
    "frage": "user",
    "antwort": "assistant",
    "anweisung": "system",
    "sprecher": "role",
    "inhalt": "content",
    "vorgang": "conversation",
    "zeitpunkt": "time",
}
ROLES: dict[str, Role] = {"mandant": "user", "frau dr. ek": "assistant"}
PEOPLE: dict[str, Part] = {"mia": "assistant", "ben": "user"}
ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]


def read(raw: str | bytes, **names: dict[str, str]) -> tuple[list[list[tuple[str, str]]], list[str]]:
    limits = Limits(names=Names(**names))
    items = list(read_known(io.BytesIO(raw.encode() if isinstance(raw, str) else raw), limits))
    found = [item.sample for item in items if isinstance(item, Found)]
    said = [[(m.role, m.content) for m in sample.messages] for sample in found if sample.kind == "dialogue"]
    return said, [item.reason for item in items if isinstance(item, Refused)]


PAIRS = [{"Nr": "1", "Frage": "How deep?", "Antwort": "Two fathoms."}]
ROWS = [
    {"Vorgang": 1, "Sprecher": "user", "Inhalt": "How deep?", "Zeitpunkt": "2025-01-01T10:00:00"},
    {"Vorgang": 2, "Sprecher": "user", "Inhalt": "How deep?", "Zeitpunkt": "2025-01-01T10:00:01"},
    {"Vorgang": 2, "Sprecher": "assistant", "Inhalt": "Two fathoms.", "Zeitpunkt": "2025-01-01T10:00:02"},
    {"Vorgang": 1, "Sprecher": "assistant", "Inhalt": "Two fathoms.", "Zeitpunkt": "2025-01-01T10:00:03"},
]


def as_csv(rows: list[dict[str, object]]) -> str:
    return "\n".join(";".join(map(str, line)) for line in (rows[0], *(row.values() for row in rows)))


def as_lines(rows: list[dict[str, object]]) -> str:
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize("written", [as_csv, as_lines, json.dumps])
def test_columns_that_are_named_are_read(written) -> None:
    assert read(written(PAIRS * 2), columns=COLUMNS) == ([ANSWERED] * 2, [])
    assert read(written(ROWS), columns=COLUMNS) == ([ANSWERED] * 2, [])


def test_a_conversation_that_is_named_keeps_rows_apart_that_are_known_without(tmp_path: Path) -> None:
    known = [{"vorgang": row["Vorgang"], "role": row["Sprecher"], "content": row["Inhalt"]} for row in ROWS]
    assert read(as_lines(known), columns=COLUMNS)[0] == [ANSWERED] * 2


def test_columns_of_a_database(tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE faq (Frage TEXT, Antwort TEXT, Anweisung TEXT)")
    database.execute("INSERT INTO faq VALUES ('How deep?', 'Two fathoms.', 'Be brief.')")
    database.commit()
    assert read(file.read_bytes(), columns=COLUMNS) == ([[("system", "Be brief."), *ANSWERED]], [])


@pytest.mark.parametrize(
    "record", [{"instruction": "Say it.", "input": "x", "output": "y"}, {"prompt": "x", "completion": "y"}]
)
def test_what_is_known_stays_as_it_is(record: dict[str, str]) -> None:
    columns = {"input": "user", "output": "assistant", "completion": "user"}
    assert read(json.dumps(record), columns=columns) == read(json.dumps(record))


def test_a_table_that_is_not_known_is_refused_with_its_columns_and_what_to_write() -> None:
    _, (reason,) = read(as_csv(PAIRS * 3))
    assert "Nr, Frage, Antwort" in reason
    assert '[data.columns] in thord.toml, such as user = ["Nr"] and assistant = ["Frage"]' in reason
    assert "[data.columns]" in read(as_lines(PAIRS))[1][0]


@pytest.mark.parametrize(
    "raw",
    [
        '{"conversations": [{"from": "Mandant", "value": "How deep?"}, {"from": "Mia", "value": "Two fathoms."}]}',
        "role,content\nMandant,How deep?\nFrau Dr. Ek,Two fathoms.\n",
        "Mandant: How deep?\nFrau Dr. Ek: Two fathoms.\n",
        '{"sender": "Ben", "text": "How deep?"}\n{"sender": "Mia", "text": "Two fathoms."}\n',
        "Ben: How deep?\nMia: Two fathoms.\n",
    ],
)
def test_words_and_people_that_are_named_are_roles(raw: str) -> None:
    assert read(raw, roles=ROLES, speakers=PEOPLE) == ([ANSWERED], [])
    assert read(raw)[0] == []


def test_what_a_tool_is_called_with_is_not_a_role() -> None:
    call = {"name": "send", "arguments": {"from": "Ben", "text": "ahoy"}}
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "tool_calls": [{"function": call}]},
    ]
    (item,) = read_known(io.BytesIO(json.dumps({"messages": turns}).encode()), Limits(names=Names(speakers=PEOPLE)))
    assert isinstance(item, Found)
    assert item.sample.messages[1].tool_calls[0].arguments == {"from": "Ben", "text": "ahoy"}


def test_a_name_is_compared_without_its_case_and_what_nobody_sees() -> None:
    assert key("~\u202fMia  Ek\u200e") == key("mia ek")


@pytest.mark.parametrize(
    "transcript",
    [
        "Benutzer: How deep?\nAssistent: Two fathoms.\n",
        "Utilisateur : How deep?\nAssistant : Two fathoms.\n",
        "**Usuario:** How deep?\n\n**Asistente:** Two fathoms.\n",
        "用户\uff1aHow deep?\n助手\uff1aTwo fathoms.\n",
        "사용자: How deep?\n어시스턴트: Two fathoms.\n",
        "## Gebruiker\nHow deep?\n\n## Assistent\nTwo fathoms.\n",
        "Du hast gesagt:\nHow deep?\nChatGPT hat gesagt:\nTwo fathoms.\n",
    ],
)
def test_transcripts_of_other_languages(transcript: str) -> None:
    assert read(transcript) == ([ANSWERED], [])


def test_a_note_about_a_user_is_no_transcript() -> None:
    said, _ = read("Utilisateur : Jean, qui aime les bateaux.\nIl vit à Brest, et il navigue.\n")
    assert said == []
