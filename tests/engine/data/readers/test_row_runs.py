"""Rows of tables of messages: nobody's answer follows another's question."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.readers.items import Resume
from engine.data.readers.row_runs import RowRuns
from engine.data.records.limits import Limits


def lines(*rows: dict[str, object]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def said(found) -> list[list[tuple[str, str]]]:
    return sorted([(m.role, m.content) for m in each.messages] for each in found)


def row(talk: object, role: str, content: str, **more: object) -> dict[str, object]:
    return {"conversation_id": talk, "role": role, "content": content, **more}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=6), st.randoms())
def _check_any_interleaving(read_bytes, talks, random) -> None:
    wanted = {
        f"t{number}": [(role, f"{number}.{turn} {role}") for turn in range(turns) for role in ("user", "assistant")]
        for number, (_, turns) in enumerate(talks)
    }
    waiting = {name: list(turns) for name, turns in wanted.items()}
    rows = []
    while waiting:
        name = random.choice(sorted(waiting))
        role, content = waiting[name].pop(0)
        rows.append(row(name, role, content))
        if not waiting[name]:
            del waiting[name]
    found, refused = read_bytes(lines(*rows))
    assert (said(found), refused) == (sorted(wanted.values()), [])


def test_conversations_that_alternate_are_kept_apart(read_bytes) -> None:
    _check_any_interleaving(read_bytes)


def test_rows_without_an_id_end_at_a_blank_line_and_at_instructions_after_an_answer(read_bytes) -> None:
    talk = lines({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
    new = lines(
        {"role": "system", "content": "s"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}
    )
    found, refused = read_bytes(talk + b"\n" + talk.replace(b'"q"', b'"p"') + new)
    assert refused == []
    assert said(found) == [
        [("system", "s"), ("user", "r"), ("assistant", "b")],
        [("user", "p"), ("assistant", "a")],
        [("user", "q"), ("assistant", "a")],
    ]


def test_rows_newest_first_are_put_in_the_order_of_their_times(read_bytes) -> None:
    turns = [("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")]
    for times in ([1, 2, 3, 4], [f"2025-01-0{day}T10:00:00Z" for day in (1, 2, 3, 4)]):
        rows = [
            {"role": role, "content": content, "created_at": at}
            for (role, content), at in zip(turns, times, strict=True)
        ]
        for raw in (lines(*rows[::-1]), json.dumps(rows[::-1]).encode()):
            assert said(read_bytes(raw)[0]) == [turns]


def test_a_row_that_cannot_be_read_costs_its_conversation_from_there_on_and_no_other(read_bytes) -> None:
    rows = [row("a", "user", "q"), row("b", "event", "joined"), row("b", "user", "r"), row("a", "assistant", "x")]
    rows += [row("b", "assistant", "y"), row("c", "user", "s"), row("c", "assistant", "z"), row("c", "ghost", "boo")]
    found, refused = read_bytes(lines(*rows, row("c", "assistant", "after it")))
    assert said(found) == [
        [("user", "q"), ("assistant", "x")],
        [("user", "r"), ("assistant", "y")],
        [("user", "s"), ("assistant", "z")],
    ]
    assert ["'event' is unknown" in refused[0].reason, "left out" in refused[1].reason] == [True, True]


def test_exchanges_and_chats_of_programs_are_rows_too(read_bytes) -> None:
    exchange = [
        {"prompt": f"q{n}", "response": f"a{n}", "conversation_id": "c", "datetime_utc": f"2025-01-0{n}T10:00:00"}
        for n in (2, 1)
    ]
    assert said(read_bytes(json.dumps(exchange).encode())[0]) == [
        [("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
    ]
    silly = lines(
        {"user_name": "Ada", "character_name": "Quill", "chat_metadata": {}},
        {"name": "Ada", "is_user": True, "mes": "q"},
        {"name": "Quill", "is_user": False, "mes": "a", "swipes": ["no", "a"], "swipe_id": 1},
        {"name": "note", "is_user": False, "is_system": True, "mes": "hidden"},
    )
    assert said(read_bytes(silly)[0]) == [[("user", "q"), ("assistant", "a")]]


def test_a_table_is_read_by_its_columns_and_one_of_unknown_columns_is_refused(read_bytes) -> None:
    found, refused = read_bytes(
        b'Conversation,Author,Message\nx,Human,"How, deep?"\nx,AI,Two.\ny,Human,Far?\ny,AI,No.\n'
    )
    assert (said(found), refused) == (
        [[("user", "Far?"), ("assistant", "No.")], [("user", "How, deep?"), ("assistant", "Two.")]],
        [],
    )
    found, refused = read_bytes(b'instruction\tinput\toutput\nName it\t\t"two\nlines"\nAgain\tnow\tyes\n')
    assert said(found) == [
        [("user", "Again\n\nnow"), ("assistant", "yes")],
        [("user", "Name it"), ("assistant", "two\nlines")],
    ]
    found, (refusal,) = read_bytes(b"boat,length,tons\nHilma,12,8\nAurora,14,11\n")
    assert found == []
    assert "table (CSV or TSV)" in refusal.reason


def test_a_row_with_more_cells_than_the_header_is_refused_instead_of_cut(read_bytes) -> None:
    good = "".join(f"Q{number}?,a{number}\n" for number in range(20))
    found, (refused,) = read_bytes(f"question,answer\n{good}Is it?,Yes, it is\n".encode())
    assert len(found) == 20
    assert "3 cells, and the header has 2" in refused.reason
    talk = "".join(f"{number},user,Q?\n{number},assistant,a\n" for number in range(10))
    found, (refused,) = read_bytes(f"session_id,role,content\n{talk}9,user,Is it?\n9,assistant,Yes, it is\n".encode())
    assert said(found)[-1] == [("user", "Q?"), ("assistant", "a"), ("user", "Is it?")]
    assert "left out" in refused.reason


@pytest.mark.timeout(60)
def test_time_grows_with_the_rows_before_an_answer(read_bytes) -> None:
    assert read_bytes(lines(*[{"role": "system", "content": "a"}] * 40_000))[0] == []


@pytest.mark.timeout(60)
def test_time_grows_with_the_records_however_many_conversations_are_open() -> None:
    count = 60_000
    runs = RowRuns("lines", Limits())
    for number in range(count):
        assert not list(runs.add({"session_id": number, "role": "user", "content": "a"}, number, number, number + 1))
    for number in range(count, 2 * count):
        list(runs.add({"role": "user", "content": "b"}, number, number, number + 1))
        (found,) = runs.finish_open(Resume("lines", number + 1, number + 1))
        assert found.resume.offset == 0


TALKS = [[("user", "PIN?"), ("assistant", "4711")], [("user", "hens?"), ("assistant", "six")]]


@pytest.mark.parametrize(
    "column",
    [
        *("conversation_id", "conversationId", "Conversation ID", "Session", "chat-id", "ThreadUUID"),
        *("ticket_id", "case", "room_id", "email", "id", "request_id"),
    ],
)
@pytest.mark.parametrize("is_table", [False, True], ids=["lines", "table"])
def test_a_column_keeps_two_people_apart_however_it_is_spelled(read_bytes, column: str, is_table: bool) -> None:
    rows = [("1", "user", "PIN?"), ("2", "user", "hens?"), ("1", "assistant", "4711"), ("2", "assistant", "six")]
    if is_table:
        raw = "\n".join([f"{column},role,content", *map(",".join, rows)]).encode()
    else:
        raw = lines(*({column: talk, "role": role, "content": content} for talk, role, content in rows))
    found, refused = read_bytes(raw)
    assert (said(found), refused) == (TALKS, [])


@pytest.mark.parametrize("column", ["turn", "index", "id"])
def test_a_count_that_starts_again_begins_another_conversation(read_bytes, column: str) -> None:
    rows = [(number, role, said) for talk in TALKS for number, (role, said) in enumerate(talk)]
    found, refused = read_bytes(lines(*({column: at, "role": role, "content": text} for at, role, text in rows)))
    assert (said(found), refused) == (TALKS, [])


def test_a_blank_line_of_a_table_ends_a_conversation(read_bytes) -> None:
    found, refused = read_bytes(b"role,content\nuser,PIN?\nassistant,4711\n\nuser,hens?\nassistant,six\n")
    assert (said(found), refused) == (TALKS, [])


def test_an_answer_that_nobody_asked_for_is_refused(read_bytes) -> None:
    found, (reason,) = read_bytes(lines(row(1, "assistant", "4711"), row(2, "user", "q"), row(2, "assistant", "a")))
    assert said(found) == [[("user", "q"), ("assistant", "a")]]
    assert "without a question" in str(reason)


def test_instructions_that_a_log_repeats_are_said_once(read_bytes) -> None:
    log = [
        {"prompt": str(n), "system": "s", "response": str(n), "conversation_id": 1, "datetime_utc": n} for n in (2, 1)
    ]
    found, refused = read_bytes(lines(*log))
    assert refused == []
    assert said(found) == [
        [("system", "s"), ("user", "1"), ("assistant", "1"), ("user", "2"), ("assistant", "2")],
    ]


def test_instructions_after_an_answer_end_a_conversation_in_an_array_too(read_bytes) -> None:
    one = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    other = [{**each, "content": f"other {each['content']}"} for each in one]
    found, refused = read_bytes(json.dumps([*one, *other]).encode())
    assert refused == []
    assert said(found) == [
        [("system", "other s"), ("user", "other q"), ("assistant", "other a")],
        [("system", "s"), ("user", "q"), ("assistant", "a")],
    ]
    kept, _ = read_bytes(json.dumps({"messages": [*one, *other]}).encode())
    assert len(kept) == 1, "a record says itself where it ends"


def test_blank_lines_behind_every_row_part_nothing(read_bytes) -> None:
    rows = [{"role": role, "text": text} for role, text in (("user", "1"), ("assistant", "one"), ("user", "2"))]
    found, refused = read_bytes(lines(*rows, {"role": "assistant", "text": "two"}).replace(b"\n", b"\n\n"))
    assert said(found) == [[("user", "1"), ("assistant", "one"), ("user", "2"), ("assistant", "two")]]
    assert refused == []


def test_each_header_of_sillytavern_begins_a_chat(read_bytes) -> None:
    header = {"user_name": "Ann", "character_name": "Mill"}
    chat = [{"is_user": True, "mes": "Hello"}, {"is_user": False, "mes": "Good day."}]
    found, refused = read_bytes(lines(header, *chat, header, *chat))
    assert (said(found), refused) == ([[("user", "Hello"), ("assistant", "Good day.")]] * 2, [])
