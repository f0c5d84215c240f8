"""Text that is neither a conversation nor prose is refused by name; prose is learned, and a corpus whatever it is."""

import io

import pytest

from engine.data.readers.items import Found, Item, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits

NOT_PROSE = [
    ("an HTML page", "<!DOCTYPE html>\n<html><head><title>Boats</title></head><body><p>Boats.</p></body></html>"),
    ("Telegram's HTML export", "<!DOCTYPE html>\n<html>\n<head>\n<title>Exported Data</title>\n</head></html>"),
    ("an HTML page", "<div><p>One</p><p>Two</p></div>\n<div><a href='x'>Three</a></div>"),
    ("XML", '<?xml version="1.0"?>\n<boats><boat name="Hilma"/></boats>'),
    ("subtitles", "1\n00:00:01,000 --> 00:00:02,000\nCast off!\n\n2\n00:00:03,000 --> 00:00:04,000\nWait!\n"),
    ("mail", "Return-Path: <a@b.org>\nFrom: a@b.org\nTo: c@d.org\nSubject: Oars\n\nBring them.\n"),
    ("WhatsApp", "[31.12.24, 22:45:01] Ada: is the ford passable\n[31.12.24, 22:46:10] Bo: go round\n"),
    ("a log", "2025-01-01 10:00:00 INFO started\n2025-01-01 10:00:01 ERROR no oars\n"),
    ("a log with JSON", '2025-01-01 10:00:00 INFO {"messages": []}\n2025-01-01 10:00:01 INFO {"messages": []}\n'),
    ("stream of events", 'data: {"choices": []}\n\ndata: [DONE]\n'),
    ("Python literals", "{'messages': [{'role': 'user', 'content': 'Oars?'}]}\n"),
    ("seems to be YAML", "version: 3\nnlu:\n- intent: greet\n  examples: |\n    - ahoy\n    - good day\n"),
    ("(CSV or TSV) with columns that thord does not know", "name,length,tons\nHilma,12,8\nAurora,14,11\n"),
    ("settings (INI or TOML)", "[boat]\nname = Hilma\nlength = 12\n\n[crew]\nnumber = 4\n"),
    (
        "source code",
        "import os\n\ndef cast_off(boat):\n    for rope in boat.ropes:\n        cut(rope);\n    return 1;\n",
    ),
    ("an SQL dump", "CREATE TABLE boats (name TEXT);\nINSERT INTO boats VALUES ('Hilma');\n"),
    ("a diff", "diff --git a/boat b/boat\n--- a/boat\n+++ b/boat\n@@ -1 +1 @@\n-oars\n+sails\n"),
    (
        "encoded binary data (base64)",
        "\n".join(["aGVsbG8gd29ybGQgdGhpcyBpcyBhIGxvbmcgbGluZSBvZiBiYXNlNjQgdGV4dCBoZXJl" for _ in range(4)]),
    ),
    ("quotes with replies", "> How deep is it?\n\nTwo fathoms.\n\n> And at high tide?\n> At the pier?\n\nFive.\n"),
    ("not written alike", "**Q: How deep?**\n\nA: Two fathoms.\n\n**Q: And there?**\n\nA: Mud.\n"),
    ("not written alike", "<!-- user -->\nHow deep?\n<!-- assistant -->\nTwo fathoms.\n"),
    ("a text with pictures in it", f"The pier.\n\n![pier](data:image/png;base64,{'iVBORw0KGgo' * 30})\n"),
    ("RTF", "{\\rtf1\\ansi Cast off!}"),
    ("LaTeX source", "\\documentclass{article}\n\\begin{document}\nCast off!\n\\end{document}\n"),
    ("(CSV or TSV) without a header", '"How deep, and where?","Two, at the pier."\n"And there?","Mud, only mud."\n'),
    ("(CSV or TSV) without a header", "How deep?\tTwo.\nAnd there?\tMud.\n"),
    ("(CSV or TSV) with columns that thord does not know", 'id,prompt,answer\n1,"How de'),
    ("(CSV or TSV) without a header", "06/01/2025,10:00:00,Ada,,How deep?,\n06/01/2025,10:00:10,Bo,,Two,\n"),
    ("(CSV or TSV) with columns that thord does not know", "role       content\nuser       deep?\nassistant  two\n"),
    ("or of an SQL shell", " role | content\n------+---------\n user | How deep?\n(1 row)\n"),
    ("or of an SQL shell", "+------+-----------+\n| role | content   |\n+------+-----------+\n| user | How deep? |\n"),
    ("a dialogue behind signs", "\U0001f9d1 How deep?\n\n\U0001f916 Two fathoms.\n"),
    ("a dialogue behind signs", ">> How deep?\n<< Two fathoms.\n"),
    ("a template that thord does not know", "<|Question|>How deep?<|Answer|>Two fathoms."),
    ("Python literals", "[HumanMessage(content='How deep?'), AIMessage(content='Two.')]\n"),
    ("objects serialized by", 'a:1:{s:4:"role";s:4:"user";}'),
    ("objects serialized by", "(lp0\n(dp1\nS'role'\np2\nS'user'\np3\nsa."),
    ("a terminal session", "$ ls\nboats\n$ cat boats\nHilma\n"),
    ("a Dockerfile", "FROM python:3.12\nRUN pip install boats\n"),
    ("a list of packages", "numpy==1.26\ntorch>=2.1\nboats\n"),
    ("a crontab", "0 5 * * * /usr/bin/oars\n"),
    ("a Makefile", "CC = gcc\n\nboats: oars.o\n\t$(CC) -o boats oars.o\n\nclean:\n\trm -f *.o\n"),
    ("a Makefile", ".PHONY: all\nVERSION = 1\nall:\n\t@echo boats\n"),
    ("a list of hosts", "# boats\n127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.3 hilma.example aurora\n"),
    ("a journal of accounts", "2025-01-02 * Oars\n    Expenses:Boat   12.00 EUR\n    Assets:Cash\n"),
    ("the RECORD of", "boats/__init__.py,sha256=abc-_D,12\nboats/oars.py,sha256=efg,340\nboats-1.dist-info/RECORD,,\n"),
    ("a dialogue behind signs", "# role::user\n\nHow deep?\n\n# role::assistant\n\nTwo fathoms.\n"),
    ("a glossary", "Oar\n: What moves a boat.\n\nSail\n: What moves it, too.\n"),
    ("pairs with arrows", "How deep? -> Two fathoms.\nAnd there? -> Mud.\n"),
    ("'<|endoftext|>' between them", "The boat lay at the pier.\n<|endoftext|>\nThe tide came in.\n<|endoftext|>\n"),
    ("a game of chess", '[Event "x"]\n[Site "y"]\n\n1. e4 e5\n'),
    ("subtitles", "[00:00.000 --> 00:02.000] Cast off!\n"),
    ("key-value text", "User-agent: *\nDisallow: /oars\n"),
    ("or of an SQL shell", "| role | content |\n|---|---|\n| user | How deep? |\n"),
    ("a chat of people", "[10:02] <ada> how deep?\n[10:03] <bo> two fathoms\n"),
    ("a chat of people", "Ada \N{EM DASH} Today at 10:00 AM\nHow deep?\nBo \N{EM DASH} Today at 10:01 AM\nTwo\n"),
    ("a talk of iMessage", "Jan 01, 2025 10:01:02 AM\nAda\nHow deep?\n\nJan 01, 2025 10:02:02 AM\nMe\nTwo fathoms\n"),
    ("a chat of people", "Ada, [1 Jan 2025 10:00:00]:\nHow deep?\n\nBo, [1 Jan 2025 10:01:00]:\nTwo\n"),
    ("a chat of people", "Speaker A\n00:01\nHow deep?\n\nSpeaker B\n00:05\nTwo fathoms\n"),
    ("a chat of people", "Speaker 1 (00:01): How deep?\nSpeaker 2 (00:05): Two fathoms\n"),
    ("a chat of people", "[LINE] Chat history with Ada\nSaved on: 2025/01/01\n\n2025/01/01(Wed)\n10:00\tAda\tdeep?\n"),
    ("a chat of people", "**Ada:** how deep?\n\n**Bo:** two fathoms\n\n" * 3),
    ("lines with JSON in them", 'Here it is:\n[{"messages": []}]\n'),
    ("lines with JSON in them", '1: {"messages": []}\n2: {"messages": []}\n'),
    ("JSON without conversations", "[1, 2, 3]"),
    ("JSON without conversations", '"{\\"prompt\\": \\"q\\"}"\n"{\\"prompt\\": \\"r\\"}"\n'),
    ("JSON5", "{messages: [{role: 'user', content: 'ahoy'}]}\n"),
    ("JSON in other quotes", "{\N{LEFT DOUBLE QUOTATION MARK}prompt\N{RIGHT DOUBLE QUOTATION MARK}: 1}\n"),
    ("Weka", "@relation boats\n@attribute tons numeric\n@data\n1\n"),
    ("LIBSVM", "1 1:0.5 2:0.3\n0 1:0.2 3:0.9\n"),
    ("CoNLL-U", "# text = ahoy\n1\tahoy\tahoy\tINTJ\t_\t_\t0\troot\t_\t_\n"),
    ("subtitles", "0:00:01.000,0:00:03.000\nCast off!\n\n0:00:04.000,0:00:05.000\nWait!\n"),
    ("subtitles", "[00:12.00]Cast off\n[00:17.20]Wait\n"),
    ("an HTTP request", 'POST /v1/chat HTTP/1.1\nHost: x\n\n{"messages": []}\n'),
    ("LaTeX source", "\\section{Oars}\nAn oar is \\emph{good}.\n"),
    ("settings (INI or TOML)", '[[messages]]\nrole = "user"\ncontent = "ahoy"\n'),
    ("seems to be YAML", "---\nname: Hilma\nlength: 12\n---\nname: Aurora\nlength: 14\n"),
    ("source code", "all: boat\n\tcc -o boat boat.c\n\nclean:\n\trm boat\n"),
    ("fastText", "__label__good two fathoms\n__label__bad mud\n"),
    ("ParlAI", "1 your persona: i row.\n2 how deep?\ttwo fathoms\n"),
    ("Anki", "#separator:tab\n#html:true\nHow deep?\tTwo.\n"),
    ("(CSV or TSV) with columns that thord does not know", "prompt,completion\n"),
    ("(CSV or TSV) without a header", "How deep?|Two.\nAnd there?|Mud.\n"),
    ("source code", "const chats = [{role: 'user', content: 'ahoy'}];\n"),
    ("training data of Rasa", "## happy path\n* greet\n  - utter_greet\n"),
    ("translations (gettext)", 'msgid "How deep?"\nmsgstr "Wie tief?"\n'),
    ("a key or a message in PEM", "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n"),
    ("a traceback", 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: x\n'),
    ("encoded binary data", "00000000  48 6f 77 20 64 65 65 70\n00000008  3f 0a 00 00 00 00 00 00\n"),
    ("key-value text", "Ada: how deep?\nBo: two fathoms\n"),
    ("key-value text", "Name: Hilma\nLength: 12 m\nTons: 8\nPort: Arendal\nBuilt: 1904\n"),
]

PROSE = [
    "The boat lay in the harbour, and nobody knew whose it was.\n\nIn the morning it was gone.",
    "# Boats\n\nA list of what floats:\n\n- the Hilma, built in 1904\n- the Aurora\n\n## Oars\n\nBring them.",
    "[ ] buy oars\n[x] mend the sail",
    "2024-05-01 Tuesday\n  Mood: good, and the wind was fair\n\n2024-05-02 Wednesday\n  Mood: tired\n",
    "# Ada\n\nrole:: Manager\n\nShe builds boats, and mends them.",
    "[1] Smith, On Boats\n[2] Jones, On Oars",
    "Dear Ada,\n\nthe boat leaks. Please come, bring tar, and do not tell Bo.\n\nYours,\nHilma",
    "CHAPTER ONE\n\nIt was at 10:30 that the bell rang; the crew, tired and wet, rose.\nNote: nobody spoke.",
    " = Skerry = \n\n A skerry is a small rocky island , too small for @-@ habitation .",
    "They went north -> the ice was thin.\nNobody had told them.\nIn spring they came home.",
    "The word of the day:\n\tskerry\n\nIt is a small rocky island, and nobody lives there.",
    "Oar\n: What moves a boat.\n\nThe rest of the book is lost, and nobody knows who wrote it.\n\nIt was long.\n\nEnd.",
    "Speech, he said, is silver; silence, gold.\nWords, words, words.\nBoats, oars, sails.",
]


def items(text: str, *, is_corpus: bool = False) -> list[Item]:
    return list(read_known(io.BytesIO(text.encode()), Limits(), is_corpus=is_corpus))


@pytest.mark.parametrize(("name", "text"), NOT_PROSE)
def test_it_is_refused_by_name_and_learned_in_a_corpus(name: str, text: str) -> None:
    (refused,) = items(text)
    assert isinstance(refused, Refused)
    assert name in refused.reason
    assert [item for item in items(text, is_corpus=True) if isinstance(item, Found)]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_learned_as_it_stands(text: str) -> None:
    (found,) = items(text)
    assert isinstance(found, Found)
    assert found.sample.kind == "text"
    assert found.sample.texts[0] == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "x y z\n" + " " * 1_000_000 + "x\nfoo\nbar baz\n",
        "a:" + "\n" * 4_000 + "x y z",
        "User: a\nAssistant: b\n" + "---\n" * 500_000,
    ],
    ids=["blanks", "blank-lines", "rules"],
)
@pytest.mark.timeout(60)
def test_hostile_repetition_takes_time_that_grows_with_its_length(text: str) -> None:
    assert items(text)
