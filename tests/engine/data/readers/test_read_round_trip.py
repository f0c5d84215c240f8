"""What is written in any shape is read back as it was said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.data.samples import Text


def test_one_record_in_a_file(json_shape, read_bytes):
    write, made = json_shape

    @given(made, st.sampled_from([None, 2]), st.booleans())
    def check(conversation, indent, ascii_only):
        raw = json.dumps(write(conversation), indent=indent, ensure_ascii=ascii_only).encode()
        assert read_bytes(raw) == ([conversation], [])

    check()


def test_an_array_of_records(json_shape, read_bytes):
    write, made = json_shape

    @given(st.lists(made, min_size=1, max_size=5), st.sampled_from([None, 1]))
    def check(conversations, indent):
        raw = json.dumps([write(c) for c in conversations], indent=indent).encode()
        assert read_bytes(raw) == (conversations, [])

    check()


def test_a_record_a_line(json_shape, read_bytes):
    write, made = json_shape

    @given(st.lists(made, min_size=2, max_size=5), st.sampled_from(["\n", "\r\n", "\n\n"]))
    def check(conversations, line_end):
        raw = "".join(json.dumps(write(c), ensure_ascii=False) + line_end for c in conversations).encode()
        assert read_bytes(raw) == (conversations, [])

    check()


def test_records_in_a_row_without_an_array(json_shape, read_bytes):
    write, made = json_shape

    @given(st.lists(made, min_size=2, max_size=3))
    def check(conversations):
        raw = "\n".join(json.dumps(write(c), indent=1) for c in conversations).encode()
        assert read_bytes(raw) == (conversations, [])

    check()


def test_a_message_a_line_is_one_conversation(strategies, read_bytes):
    @given(strategies.in_rows())
    def check(conversation):
        raw = "".join(json.dumps({"role": m.role, "content": m.content}) + "\n" for m in conversation.messages)
        assert read_bytes(raw.encode()) == ([conversation], [])

    check()


def test_transcripts(strategies, read_bytes):
    letters = st.characters(codec="utf-8", exclude_characters=":\ufeff")
    words = strategies.said(letters).filter(lambda said: "__eou__" not in said)  # the mark of another shape

    @given(
        strategies.exchanges(words),
        st.sampled_from([("Human", "Assistant"), ("User", "AI"), ("A", "B"), ("Q", "A"), ("user", "assistant")]),
        st.sampled_from(["\n", "\n\n", "\r\n"]),
    )
    def check(conversation, names, between):
        speakers = dict(zip(("user", "assistant"), names, strict=True))
        raw = between.join(f"{speakers[m.role]}: {m.content}" for m in conversation.messages).encode()
        assert read_bytes(raw) == ([conversation], [])

    check()


def test_lines_of_utterances(strategies, read_bytes):
    words = strategies.said(st.characters(codec="utf-8", exclude_characters="\r\n_"))

    @given(st.lists(strategies.exchanges(words), min_size=1, max_size=3))
    def check(conversations):
        raw = "\n".join(" __eou__ ".join(m.content for m in c.messages) + " __eou__" for c in conversations)
        assert read_bytes(raw.encode()) == (conversations, [])

    check()


def test_short_text_is_one_piece(strategies, read_bytes):
    @given(strategies.said(st.characters(codec="utf-8", categories=["L", "Z", "P"], exclude_characters=":[{")))
    def check(text):
        assert read_bytes(text.encode()) == ([Text(text=text)], [])

    check()


def test_text_records(strategies, read_bytes):
    @given(st.lists(strategies.said(), min_size=1, max_size=4))
    def check(texts):
        raw = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        assert read_bytes(raw) == ([Text(text=text) for text in texts], [])

    check()
