"""Two answers side by side: the winner is learned, both are held; where none won, nothing is."""

import pytest

from engine.data.records.limits import Limits
from engine.data.records.registry import parse

GOOD, BAD = "Two fathoms.", "No idea."
TALK = {"conversation_a": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": GOOD}]}
OTHER = {"conversation_b": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": BAD}]}

COMPARED = {
    "an arena": {**TALK, **OTHER, "winner": "model_a"},
    "a table of an arena": {
        "prompt": '["How deep?"]',
        "response_a": f'["{BAD}"]',
        "response_b": f'["{GOOD}"]',
        "winner_model_a": "0",
        "winner_model_b": "1",
    },
    "SHP": {"history": "How deep?", "human_ref_A": BAD, "human_ref_B": GOOD, "labels": 0, "score_A": 2, "score_B": 9},
    "WebGPT": {"question": {"full_text": "How deep?"}, "answer_0": GOOD, "answer_1": BAD, "score_0": 1, "score_1": -1},
    "AlpacaFarm": {"instruction": "How deep?", "output_1": BAD, "output_2": GOOD, "preference": 2},
    "HelpSteer": {"prompt": "How deep?", "response_1": BAD, "response_2": GOOD, "preference_strength": 2},
    "SafeRLHF": {"prompt": "How deep?", "response_0": GOOD, "response_1": BAD, "better_response_id": 0},
    "other names": {"system": "", "question": "How deep?", "chosen_response": GOOD, "rejected_response": BAD},
    "a correction": {"prompt": "How deep?", "response": BAD, "edited_response": GOOD},
    "a correction beside messages": {
        "messages": [{"role": "user", "content": "How deep?"}, {"role": "assistant", "content": BAD}],
        "correction": GOOD,
    },
    "messages before": {
        "messages": [{"role": "user", "content": "How deep?"}],
        "chosen": {"role": "assistant", "content": GOOD},
        "rejected": {"role": "assistant", "content": BAD},
    },
    "Nectar": {
        "prompt": "\n\nHuman: How deep?\n\nAssistant:",
        "answers": [{"answer": BAD, "rank": 2}, {"answer": GOOD, "rank": 1}],
    },
}


@pytest.mark.parametrize("record", COMPARED.values(), ids=COMPARED)
def test_the_better_answer_is_learned_and_both_are_held(record: dict[str, object]) -> None:
    dialogue, held = parse(record, Limits())
    assert [message.content for message in dialogue.messages] == ["How deep?", GOOD]
    assert held.kind == "preference"
    assert set(held.texts) == {"How deep?", GOOD, BAD}


@pytest.mark.parametrize("winner", ["tie", "tie (bothbad)", None])
def test_where_none_won_nothing_is_learned(problems, winner: str | None) -> None:
    assert "two answers without a winner" in problems({**TALK, **OTHER, "winner": winner})[0]


def test_a_correction_that_changes_nothing_is_a_dialogue() -> None:
    (found,) = parse({"prompt": "How deep?", "response": GOOD, "edited_response": f"{GOOD} "}, Limits())
    assert (found.kind, found.texts) == ("dialogue", ("How deep?", GOOD))
