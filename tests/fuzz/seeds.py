"""Small files of every format, from which the fuzzer makes others. ``THORD_CASES`` may name a folder with more."""

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import tarfile
import tempfile
import zipfile
from pathlib import Path

_TURNS = [{"role": "user", "content": "How deep is it?"}, {"role": "assistant", "content": "Two fathoms."}]
_RECORDS: list[object] = [
    {"messages": _TURNS},
    {
        "conversations": [
            {"from": "human", "value": "Quelle heure\u00a0?"},
            {"from": "gpt", "value": "Midi \U0001f55b."},
        ]
    },
    {"instruction": "Add", "input": "1 2", "output": "3", "history": [["Hi", "Hello"]]},
    {"prompt": "Why?", "chosen": "Because it rains.", "rejected": "No."},
    {"prompt": "Why?", "completion": "Because.", "label": True},
    {"question": "Where?", "answer": "At the harbour."},
    {"text": "### Human: Where?\n### Assistant: Here."},
    {"messages": [*_TURNS[:1], {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
]
_ROWS = [{"conversation_id": number // 2, "timestamp": number, **_TURNS[number % 2]} for number in range(6)]
_CHATGPT = {
    "title": "t",
    "mapping": {
        "r": {"id": "r", "parent": None, "children": ["a"], "message": None},
        "a": {"id": "a", "parent": "r", "message": {"author": {"role": "user"}, "content": {"parts": ["How deep?"]}}},
        "b": {"id": "b", "parent": "a", "message": {"author": {"role": "assistant"}, "content": {"parts": ["Two."]}}},
    },
    "current_node": "b",
}
_CLAUDE = {"chat_messages": [{"sender": "human", "text": "How deep?"}, {"sender": "assistant", "text": "Two."}]}
_SLACK = [{"type": "message", "user": f"U{n % 2}", "ts": f"17000000{n}.0", "text": f"Hello {n}"} for n in range(4)]
_TELEGRAM = {
    "name": "Ann",
    "type": "personal_chat",
    "id": 1,
    "messages": [
        {"id": n, "type": "message", "date": f"2024-01-0{n + 1}T10:00:00", "from": "Ann", "text": f"Hello {n}"}
        for n in range(3)
    ],
}
_META = {
    "participants": [{"name": "Ann"}, {"name": "Bo"}],
    "messages": [{"sender_name": "Ann", "timestamp_ms": 1700000000000, "content": "Gr\u00c3\u00bc\u00c3\u009fe"}],
}
_DISCORD = {
    "guild": {"id": "1", "name": "g"},
    "channel": {"id": "2", "type": "DirectTextChat", "name": "c"},
    "messages": [
        {
            "id": "3",
            "type": "Default",
            "timestamp": "2024-01-01T10:00:00+00:00",
            "content": "Hello",
            "author": {"id": "4"},
        }
    ],
}
_CHARACTER = {
    "turns": [
        {
            "create_time": f"2025-01-01T10:00:0{9 - n}Z",
            "author": {"name": "Ann", **({"is_human": True} if n % 2 else {})},
            "candidates": [{"candidate_id": "a", "raw_content": f"Hello {n}"}],
            "primary_candidate_id": "a",
        }
        for n in range(4)
    ]
}
_DIALOGFLOW = [
    {
        "responseId": str(n),
        "queryResult": {
            "queryText": f"How deep is {n}?",
            "fulfillmentMessages": [{"text": {"text": [f"{n} fathoms."]}}],
        },
        "session": f"projects/p/agent/sessions/{n % 2}",
    }
    for n in range(4)
]
_LANGCHAIN = [
    {"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"], "kwargs": {"content": "How deep?"}},
    {"type": "ai", "data": {"content": "Two fathoms.", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "1"}]}},
]

_GROK = {
    "conversation": {"id": "c"},
    "responses": [
        {"response": {"_id": "1", "sender": "human", "message": "How deep?", "create_time": {"$date": "2025-01-01"}}},
        {
            "response": {
                "sender": "ASSISTANT",
                "message": "Two <grok:render a>x</grok:render>",
                "parent_response_id": "1",
            }
        },
    ],
}
_CONTINUE = {"history": [{"message": turn, "contextItems": [{"content": "The pier."}]} for turn in _TURNS]}
_BIG_AGI = {
    "messages": [
        {"role": turn["role"], "fragments": [{"ft": "content", "part": {"pt": "text", "text": turn["content"]}}]}
        for turn in _TURNS
    ]
}
_NEXT_CHAT = {"chat-next-web-store": {"sessions": [{"messages": _TURNS, "mask": {"context": []}}]}}
_MARKED = [
    {"messages": [*_TURNS, _TURNS[0], {"role": "assistant", "content": "<think>Hm.</think>Two.", "feedback": "good"}]},
    {"messages": [*_TURNS, {"role": "assistant", "content": "Three.", "regenerated": True}], "finish_reason": "stop"},
    {"question": "How deep?", "answer": "Two.", "documents": [{"title": "Pier", "text": "It is deep."}]},
    {"messages": _TURNS, "scores": [{"name": "user", "value": 1}], "metadata": {"rating": "5/5"}},
]
_CALLS = [
    {
        "system": 'SYSTEM: You have access to the following functions -\n{"name": "sound"}',
        "chat": 'USER: How deep?\n\nASSISTANT: <functioncall> {"name": "sound", "arguments": \'{"at": 1}\'}',
    },
    {"query": "How deep?", "answers": '[{"name": "sound", "arguments": {"at": 1}}]', "tools": '[{"name": "sound"}]'},
    {
        "input": [_TURNS[0], {"type": "function_call", "call_id": "1", "name": "sound", "arguments": "{}"}],
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two."}]}],
    },
    {
        "messages": [
            {"role": "user", "content": [{"text": "How deep?"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "sound", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"json": {"a": 1}}]}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "sound", "inputSchema": {"json": {}}}}]},
    },
]


def seeds() -> dict[str, bytes]:
    """The content of a file by the name of what it is."""
    lines = _lines(_RECORDS)
    made = {
        "lines": lines,
        "rows": _lines(_ROWS),
        "array": json.dumps(_RECORDS, indent=1).encode(),
        "messages": json.dumps(_TURNS).encode(),
        **{name: json.dumps(value).encode() for name, value in _exports().items()},
        **{name: text.encode() for name, text in _TEXTS.items()},
        "utf-16": "Human: How deep?\n\nAssistant: Two fathoms.\n".encode("utf-16"),
        "latin-1": "Fr\u00e4ge: Wie tief ist der Gr\u00f6\u00dfe nach?\n".encode("latin-1"),
        "cr": b"Human: How deep?\r\rAssistant: Two fathoms.\r",
        "gzip": gzip.compress(lines),
        "bzip2": bz2.compress(lines),
        "xz": lzma.compress(lines),
        "zip": _zipped({"a.jsonl": lines, "b/c.csv": _TEXTS["csv"].encode()}),
        "tar": _tarred({"a.jsonl": lines, "b/c.txt": _TEXTS["transcript"].encode()}),
        "sqlite": _database(),
        **_tables(),
    }
    if folder := os.environ.get("THORD_CASES"):
        made |= {str(file): file.read_bytes() for file in sorted(Path(folder).rglob("*")) if file.is_file()}
    return made


def _exports() -> dict[str, object]:
    return {
        "chatgpt": [_CHATGPT, _CHATGPT],
        "claude": [_CLAUDE],
        "slack": _SLACK,
        "telegram": _TELEGRAM,
        "meta": _META,
        "discord": _DISCORD,
        "character.ai": _CHARACTER,
        "dialogflow": _DIALOGFLOW,
        "langchain": _LANGCHAIN,
        "grok": {"conversations": [_GROK]},
        "continue": _CONTINUE,
        "big-agi": _BIG_AGI,
        "nextchat": _NEXT_CHAT,
        "marked": _MARKED,
        "calls": _CALLS,
    }


_TEXTS = {
    "csv": 'question,answer\nHow deep?,Two fathoms.\n"How, then?","By ""boat""."\n',
    "tsv": "role\tcontent\nuser\tHow deep?\nassistant\tTwo fathoms.\n",
    "transcript": "Human: How deep?\n\nAssistant: Two fathoms.\n\nHuman: And now?\n\nAssistant: Three.\n",
    "markdown": "## User\n\nHow deep?\n\n## Assistant\n\nTwo fathoms.\n",
    "questions": "Q: How deep?\nA: Two fathoms.\n\nQ: And now?\nA: Three.\n",
    "chatml": "<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>\n",
    "llama": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHow deep? [/INST] Two. </s>",
    "gemma": "<start_of_turn>user\nHow deep?<end_of_turn>\n<start_of_turn>model\nTwo.<end_of_turn>\n",
    "utterances": "How deep? __eou__ Two fathoms. __eou__\nAnd now? __eou__ Three. __eou__\n",
    "whatsapp": "[01.02.24, 10:00:00] Ann: Hello\n[01.02.24, 10:00:05] Bo: Hi\nthere\n[01.02.24, 10:01:00] Ann: So?\n",
    "imessage": "Oct 17, 2021 10:31:49 PM\nAnn\nHello\nthere\n\nOct 17, 2021 10:32:49 PM\nBo\nHi\n\n",
    "mbox": "From a@b Mon Jan  1 10:00:00 2024\nFrom: A <a@b>\nSubject: Hi\nMessage-ID: <1@b>\n\nHello there\n\n",
    "mail page": "From: Ann <a@b>\nSubject: Hi\nMessage-ID: <1@b>\nContent-Type: text/html\n\n<p a='x'>Hello &lt;\n",
    "openchat": "GPT4 Correct User: How deep?<|end_of_turn|>GPT4 Correct Assistant: Two.<|end_of_turn|>",
    "aider": "# aider chat started at 2025-01-01 10:00:00\n\n> v1  \n\n#### How deep?  \n\nTwo.\n\n> Tokens\nused  \n",
    "html": "<!doctype html><html><body><p>Hello</p></body></html>",
    "yaml chat": "messages:\n- role: user\n  content: How deep?\n- role: assistant\n  content: |\n    Two\n    now.\n",
    "yaml": "- user: How deep?\n  assistant: Two fathoms.\n- user: And now?\n  assistant: Three.\n",
    "log": "2024-01-01 10:00:00 INFO started\n2024-01-01 10:00:01 WARN slow\n" * 3,
    "prose": "The harbour opens at six. Nobody is there then, but the gulls.\n\nAt nine it closes again.\n" * 3,
}


def _lines(records: list[object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def _tarred(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def _database() -> bytes:
    """A log of `llm`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "logs.db"
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE conversations (id TEXT, name TEXT, model TEXT)")
            database.execute(
                "CREATE TABLE responses (id TEXT, model TEXT, prompt TEXT, system TEXT, response TEXT,"
                " conversation_id TEXT, datetime_utc TEXT)"
            )
            database.executemany(
                "INSERT INTO responses VALUES (?, 'm', ?, NULL, ?, 'c', ?)",
                [(str(n), f"How deep is {n}?", f"{n} fathoms.", f"2024-01-0{n + 1}") for n in range(3)],
            )
        database.close()
        return file.read_bytes()


def _tables() -> dict[str, bytes]:
    from pyarrow import Table, feather, parquet

    table = Table.from_pylist([{"prompt": f"How deep is {n}?", "completion": f"{n} fathoms."} for n in range(20)])
    written: dict[str, bytes] = {}
    for name, write in (("parquet", parquet.write_table), ("arrow", feather.write_feather)):
        made = io.BytesIO()
        write(table, made)
        written[name] = made.getvalue()
    return written
