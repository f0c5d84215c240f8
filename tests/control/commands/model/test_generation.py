"""``generate``, ``predict`` and ``chat``: what they ask and show."""

import json
from pathlib import Path

from tests.control.stand_in import Ctl, StandIn


def test_generate_streams_text_and_takes_sampling(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("generate", "Hi", "--max-tokens", "5", "--temperature", "0", "--stop", "\n", "--version", "12")
    assert done.stdout == "Hello world\n"
    (body,) = stand_in.bodies("/v1/completions")
    assert isinstance(body, dict)
    assert {name: body[name] for name in ("model", "prompt", "max_tokens", "temperature", "stop")} == {
        "model": "thor@000012", "prompt": "Hi", "max_tokens": 5, "temperature": 0.0, "stop": ["\n"]
    }  # fmt: skip
    assert ctl.json("generate", "-", stdin="Hi") == {
        "text": "Hello world",
        "version": "000012",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_predict_takes_sampling_too(stand_in: StandIn, ctl: Ctl) -> None:
    ctl.json("predict", "Hi", "--task", "chat", "--temperature", "0.5", "--seed", "7", "--version", "12")
    assert stand_in.bodies("/predict") == [
        {"task": "chat", "input": "Hi", "model": "thor@000012", "temperature": 0.5, "seed": 7}
    ]
    wrong = ctl("generate", "Hi", "--version", "abc")
    assert (wrong.returncode, "'abc' is not a version" in wrong.stderr) == (2, True)


def test_chat_keeps_the_turns_of_standard_input(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("chat", "--system", "Be kind.", stdin="one\n\ntwo\n")
    assert done.stdout == "Hello world\nHello world\n"
    last = stand_in.bodies("/v1/chat/completions")[-1]
    assert isinstance(last, dict)
    assert [turn["role"] for turn in last["messages"]] == ["system", "user", "assistant", "user"]
    lines = ctl("chat", "--json", stdin="one\ntwo\n").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Hello world", "Hello world"]
    assert ctl("chat", stdin="caf\udce9\n").returncode == 0
    last = stand_in.bodies("/v1/chat/completions")[-1]
    assert isinstance(last, dict)
    assert last["messages"][-1]["content"] == "caf\ufffd", "what is no UTF-8"


def test_predict_says_how_many_texts_of_a_file_have_no_answer(stand_in: StandIn, ctl: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "texts"
    file.write_text("one\ntwo\n")
    bad = {"task": "chat", "error": {"message": "the input is empty", "param": "input"}}
    answers = [{"task": "chat", "generated_text": "Hi"}, bad]
    stand_in.answers["POST", "/predict"] = (200, {"task": "chat", "predictions": answers, "version": "000012"})
    done = ctl("predict", "--task", "chat", "--file", str(file))
    assert done.returncode == 1
    assert "1 of 2 texts could not be answered" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == answers
