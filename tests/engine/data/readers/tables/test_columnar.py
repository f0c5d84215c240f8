"""Tables of Parquet and Arrow give the records that their rows are."""

import datetime
import decimal
import io

import pytest
from hypothesis import given, settings

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from tests.engine.data.readers.mangling import mangled

pyarrow = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")
parquet = pytest.importorskip("pyarrow.parquet")


def as_parquet(rows, schema=None, **options):
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file, **options)
    return file.getvalue()


def as_arrow(rows, schema=None, new=ipc.new_file):
    file, table = io.BytesIO(), pyarrow.Table.from_pylist(rows, schema)
    with new(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def as_stream(rows, schema=None):
    return as_arrow(rows, schema, ipc.new_stream)


def read(raw, limits=None):
    items = list(read_known(io.BytesIO(raw), limits or Limits()))
    assert all((item.start, item.end, item.resume.offset) == (0, len(raw), 0) for item in items)
    found = [[(m.role, m.content) for m in item.sample.messages] for item in items if isinstance(item, Found)]
    return found, [item for item in items if isinstance(item, Refused)]


def asked(number):
    return [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]


def said(number):
    return [("user", f"q{number}"), ("assistant", f"a{number}")]


@pytest.mark.parametrize("write", [as_parquet, as_arrow, as_stream])
class TestTables:
    def test_lists_of_structs_are_messages(self, write):
        rows = [{"id": n, "messages": asked(n), "tools": None} for n in range(200)]
        assert read(write(rows)) == ([said(n) for n in range(200)], [])

    def test_nulls_are_absent_and_other_types_are_kept_out_of_the_way(self, write):
        schema = pyarrow.schema(
            [
                ("prompt", pyarrow.string()),
                ("completion", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())),
                ("rejected", pyarrow.string()),
                ("day", pyarrow.date32()),
                ("at", pyarrow.timestamp("ns", "UTC")),
                ("price", pyarrow.decimal128(5, 2)),
                ("facts", pyarrow.map_(pyarrow.string(), pyarrow.int64())),
            ]
        )
        row = {
            "prompt": "q1",
            "completion": "a1",
            "day": datetime.date(2026, 1, 2),
            "at": 1_700_000_000_123_456_789,
            "price": decimal.Decimal("1.50"),
            "facts": [("x", 1)],
        }
        assert read(write([row], schema)) == ([said(1)], [])

    def test_rows_of_messages_become_conversations(self, write):
        rows = [{"conversation_id": c, **message} for n in range(2) for c in "xy" for message in [asked(c)[n]]]
        assert read(write(rows)) == ([said("x"), said("y")], [])

    def test_messages_written_as_json_are_read(self, write):
        assert read(write([{"messages": str(asked(1)).replace("'", '"')}])) == ([said(1)], [])

    def test_bytes_cost_their_row(self, write):
        rows = [{"messages": asked(1), "image": b"\x89PNG"}, {"messages": asked(2), "image": None}]
        found, refused = read(write(rows))
        assert found == [said(2)]
        assert [r.line for r in refused] == [1]
        assert "column 'image': bytes" in refused[0].reason

    def test_a_table_of_no_known_shape_is_refused_once_with_its_columns(self, write):
        found, refused = read(write([{"query": n, "passage": "p"} for n in range(100)]))
        assert found == []
        assert len(refused) == 1
        assert "query, passage" in refused[0].reason

    def test_a_row_larger_than_a_record_is_refused(self, write):
        rows = [{"prompt": "x" * 3000, "completion": "y"}, {"prompt": "q1", "completion": "a1"}]
        found, refused = read(write(rows), Limits(record_bytes=2000))
        assert found == [said(1)]
        assert "max_record_megabytes" in refused[0].reason

    def test_one_that_is_cut_off_is_refused(self, write):
        raw = write([{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(3)])
        _, refused = read(raw[: len(raw) * 2 // 3])
        assert len(refused) == 1
        assert "cannot be read further: damaged" in refused[0].reason


def test_row_groups_are_read_one_after_the_other():
    rows = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(300)]
    assert read(as_parquet(rows, row_group_size=50, compression="zstd")) == ([said(n) for n in range(300)], [])


def test_feather_is_read():
    feather = pytest.importorskip("pyarrow.feather")
    file = io.BytesIO()
    feather.write_feather(pyarrow.table({"prompt": ["q1"], "completion": ["a1"]}), file)
    assert read(file.getvalue()) == ([said(1)], [])


def test_a_batch_that_points_outside_of_its_buffers_is_refused():
    raw = as_stream([{"prompt": "q1", "completion": "a1"}])
    end = raw.rindex((2).to_bytes(4, "little"))  # of the answer, in its column of offsets
    found, refused = read(raw[:end] + (1 << 30).to_bytes(4, "little") + raw[end + 4 :])
    assert found == []
    assert "damaged" in refused[0].reason


def test_without_its_library_the_extra_is_named(monkeypatch):
    raw = as_parquet([{"prompt": "p", "completion": "c"}])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    _, refused = read(raw)
    assert "pip install 'thord[tables]'" in refused[0].reason


MARKS = [
    b"PAR1",
    b"ARROW1\0\0",
    b"\xff\xff\xff\xff\x10\0\0\0",
    *(write([{"prompt": "p", "completion": "c"}]) for write in (as_parquet, as_arrow, as_stream)),
]


@settings(max_examples=150, deadline=None)
@given(mangled(MARKS))
def test_any_bytes_after_a_mark_are_learned_or_refused(raw):
    for item in read_known(io.BytesIO(raw), Limits()):
        assert 0 <= item.start <= item.end
