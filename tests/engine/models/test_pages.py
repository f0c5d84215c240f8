"""Rows in pages: what they hold is what a plain list would, whatever was shared, given back and taken again."""

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models import pages
from engine.models.attention import KeyValueCache
from engine.models.pages import PAGE, PageTable, Pool, most_pages, pages_of

ROWS, LENGTH = 4, 5 * PAGE
CPU = torch.device("cpu")
row = st.integers(0, ROWS - 1)
share = st.floats(0, 1)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), row, share, st.integers(1, 2 * PAGE)),
        st.tuples(st.just("copy"), row, row, share),
        st.tuples(st.just("truncate"), row, share),
    ),
    max_size=30,
)


@pytest.fixture(params=["as needed", "in one place that doubles"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "as needed":
        monkeypatch.setattr(pages, "_reserve", lambda size: None)  # as on a GPU
    return request.param


def two_pools() -> tuple[PageTable, tuple[Pool, Pool]]:
    pools = tuple(
        Pool((*width, PAGE), torch.long, CPU, first=2, most=most_pages(ROWS, LENGTH)) for width in ((), (3, 8))
    )
    return PageTable(ROWS, LENGTH, CPU, pools), (pools[0], pools[1])


def check(table: PageTable, pools: tuple[Pool, Pool], held: list[list[int]]) -> None:
    """All rows read as they should, and no page is taken that no row needs."""
    for number, values in enumerate(held):
        at = torch.arange(len(values))
        where = table.table_RP[number, at // PAGE], at % PAGE
        assert pools[0].memory[where].tolist() == values
        assert pools[1].memory[where[0], 2, 7, where[1]].tolist() == values
        assert not table.table_RP[number, pages_of(len(values)) :].any()
        assert table.row_bytes(number) == pages_of(len(values)) * table.page_bytes
    assert not pools[0].memory[0].any()


@settings(max_examples=60, deadline=None)
@given(operations)
def test_rows_hold_what_plain_lists_would(done: list[tuple]) -> None:
    table, pools = two_pools()
    held: list[list[int]] = [[] for _ in range(ROWS)]
    for number, (name, target, *rest) in enumerate(done, start=1):
        values = held[target]
        match name, rest:
            case "write", (where, count):
                start = int(where * len(values))
                end = min(start + count, LENGTH)
                table.make_room(target, start, end)
                at = torch.arange(start, end)
                places = table.table_RP[target, at // PAGE], at % PAGE
                pools[0].memory[places] = pools[1].memory[places[0], 2, 7, places[1]] = number
                values[start:end] = [number] * (end - start)
            case "copy", (source, where):
                length = int(where * len(held[source]))
                table.share(source, target, length)
                if source != target:
                    held[target] = held[source][:length]
            case "truncate", (where,):
                length = int(where * len(values))
                table.truncate(target, length)
                del values[length:]
                kept = pages_of(length) * PAGE
                assert table.row_bytes(target) <= kept // PAGE * table.page_bytes
        check(table, pools, held)
    for target in range(ROWS):
        table.truncate(target, 0)
    if pools[0].capacity_bytes == 0:
        assert table.held_bytes == 0
        assert not pools[1].memory.any()


def test_rows_that_begin_alike_take_the_memory_once(kind: str) -> None:
    table, _ = two_pools()
    table.make_room(0, 0, 3 * PAGE)
    before = table.held_bytes
    for target in (1, 2, 3):
        table.share(0, target, 3 * PAGE)
    assert table.held_bytes == before
    table.make_room(1, 3 * PAGE - 1, 3 * PAGE)
    table.make_room(1, 3 * PAGE, 3 * PAGE + 1)
    if kind == "as needed":
        assert table.held_bytes == before + 2 * table.page_bytes


def test_what_must_be_free_for_more(kind: str) -> None:
    table, pools = two_pools()
    more = 2 * table.page_bytes
    table.make_room(0, 0, 1)
    if kind == "as needed":
        assert table.memory_for(more) == more
    else:
        assert table.memory_for(0) == 0
        assert table.memory_for(more) == 4 * table.page_bytes, "the next place, while the last is still there"
        table.make_room(0, 0, 3 * PAGE)
        assert [len(pool.memory) for pool in pools] == [4, 4]


def test_room_for_every_row_at_full_length_takes_no_memory_until_it_is_written(kind: str) -> None:
    if kind != "as needed":
        return
    process, weight = psutil.Process(), torch.empty(0, dtype=torch.bfloat16)
    before = process.memory_info().rss
    cache = KeyValueCache.like(weight, layers=30, rows=17, kv_heads=3, length=8192, width=64)
    assert process.memory_info().rss - before < 16 << 20
    assert cache.bytes_for(8192) * 17 == 17 * 8192 * 23040
    for number in range(16):
        cache.make_room(number, 0, 512)
        cache.pool.memory[cache.table.table_RP[number, :8]] = 1.0
    full = 16 * 512 * 23040
    assert cache.held_bytes == full
    assert full <= process.memory_info().rss - before < full + (48 << 20)
    for number in range(16):
        cache.truncate(number, 0)
    assert process.memory_info().rss - before < 32 << 20
    assert cache.held_bytes == 0
