"""Rows in which answers are chosen, rejected, ranked or judged: kept whole; only what was preferred is learned."""

import json

import pytest

from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue, Preference, Sample


def parsed(record: object) -> Sample:
    (sample,) = (each for each in parse(json.loads(json.dumps(record)), Limits()) if each.kind == "preference")
    return sample


def learned(record: object) -> list[list[tuple[str, str]]]:
    """The dialogues that are learned of a row."""
    found = parse(json.loads(json.dumps(record)), Limits())
    return [[(m.role, m.content) for m in each.messages] for each in found if isinstance(each, Dialogue)]


def shown(record: object) -> tuple[list[tuple[str, str]], list[tuple[list[tuple[str, str]], float | None, int | None]]]:
    """The prompt's turns, and of each answer its turns, score and rank."""
    sample = parsed(record)
    assert isinstance(sample, Preference)
    return (
        [(m.role, m.content) for m in sample.prompt],
        [([(m.role, m.content) for m in a.messages], a.score, a.rank) for a in sample.answers],
    )


ASKED = [("user", "q")]
PAIR = [([("assistant", "a")], None, 1), ([("assistant", "b")], None, 2)]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"instruction": "q", "chosen": "a", "rejected": "b"},
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": " a", "rejected": " b"},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        {
            "prompt": "q",
            "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
        },
        {
            "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
        },
        {
            "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "rejected_response": "b",
        },
        {
            "input": {"messages": [{"role": "user", "content": "q"}]},
            "preferred_output": [{"role": "assistant", "content": "a"}],
            "non_preferred_output": [{"role": "assistant", "content": "b"}],
        },
    ],
)
def test_both_answers_of_a_pair_are_kept_and_the_chosen_one_is_first(record: object) -> None:
    assert shown(record) == (ASKED, PAIR)


def test_scores_of_a_pair_are_kept() -> None:
    record = {"prompt": "q", "chosen": "a", "rejected": "b", "score_chosen": 8.5, "score_rejected": 2}
    assert [score for _, score, _ in shown(record)[1]] == [8.5, 2.0]


def test_what_both_dialogues_begin_with_is_the_prompt() -> None:
    chosen = "\n\nHuman: q\n\nAssistant: x\n\nHuman: more\n\nAssistant: a"
    rejected = "\n\nHuman: q\n\nAssistant: y"
    prompt, answers = shown({"chosen": chosen, "rejected": rejected})
    assert prompt == ASKED
    assert [[role for role, _ in turns] for turns, _, _ in answers] == [
        ["assistant", "user", "assistant"],
        ["assistant"],
    ]


@pytest.mark.parametrize(
    ("record", "values"),
    [
        ({"prompt": "q", "responses": ["a", "b"], "scores": [0.5, 2]}, [(0.5, None), (2.0, None)]),
        ({"query": "q", "responses": ["a", "b"], "ranks": [2, 1]}, [(None, 2), (None, 1)]),
        (
            {
                "instruction": "q",
                "completions": [{"response": "a", "overall_score": 9}, {"response": "b", "overall_score": 1}],
            },
            [(9.0, None), (1.0, None)],
        ),
    ],
)
def test_every_ranked_answer_is_kept_with_its_score_or_rank(record: object, values: object) -> None:
    prompt, answers = shown(record)
    assert prompt == ASKED
    assert [turns for turns, _, _ in answers] == [[("assistant", "a")], [("assistant", "b")]]
    assert [(score, rank) for _, score, rank in answers] == values


@pytest.mark.parametrize(
    ("verdict", "score"),
    [
        ({"label": True}, 1.0), ({"label": False}, 0.0), ({"label": 0}, 0.0), ({"label": "False"}, 0.0),
        ({"kto_tag": 1}, 1.0), ({"kto_tag": "true"}, 1.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "completion": "a"},
        {"instruction": "q", "output": "a"},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    ],
)
def test_an_answer_that_was_judged_is_kept_with_its_verdict(
    record: dict[str, object], verdict: dict[str, object], score: float
) -> None:
    assert shown({**record, **verdict}) == (ASKED, [([("assistant", "a")], score, None)])


def test_a_label_that_is_no_verdict_leaves_a_dialogue_as_it_is() -> None:
    assert learned({"prompt": "q", "completion": "a", "label": "travel"}) == [[("user", "q"), ("assistant", "a")]]
    assert learned({"prompt": "q", "completion": "a", "label": None}) == [[("user", "q"), ("assistant", "a")]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"chosen": "a", "rejected": "b"}, "an answer without a question"),
        ({"prompt": "q", "chosen": "a", "rejected": "a"}, "the same"),
        ({"prompt": "q", "chosen": "a", "rejected": " "}, "no assistant turn with words"),
        ({"prompt": "q", "responses": ["a"], "scores": [1, 2]}, "arrays of one length"),
        ({"prompt": "q", "responses": ["a"], "scores": ["high"]}, "must hold numbers"),
        ({"prompt": "q", "responses": ["a", "b"], "scores": [float("nan"), 2]}, "must hold finite numbers"),
        ({"prompt": "q", "responses": ["a", "b"], "ranks": [float("inf"), 1]}, "must hold finite numbers"),
        ({"responses": ["a"], "scores": [1]}, "answers without a question"),
        (
            {"instruction": "q", "completions": [{"response": "a"}]},
            "a completion has no score: give one of overall_score",
        ),
        ({"role": "assistant", "content": "a", "label": False}, "without a question"),
        ({"messages": [{"role": "user", "content": "q"}], "label": True}, "does not end with an assistant turn"),
    ],
)
def test_what_cannot_be_a_preference_is_refused_in_words(record: object, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        parsed(record)


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        ({"prompt": "q", "chosen": "good", "rejected": "bad"}, "good"),
        ({"prompt": "q", "responses": ["bad", "good", "worse"], "scores": [2, 9, 1]}, "good"),
        ({"prompt": "q", "responses": ["bad", "good"], "ranks": [2, 1]}, "good"),
        ({"instruction": "q", "output": ["good", "bad"]}, "good"),
        ({"prompt": "q", "completion": "good", "label": True}, "good"),
        ({"prompt": "q", "completion": "bad", "label": False}, None),
        ({"prompt": "q", "completion": "bad", "rating": "thumbs_down"}, None),
        ({"prompt": "q", "responses": ["one", "other"], "scores": [3, 3]}, None),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "score_chosen": 1, "score_rejected": 5}, None),
    ],
)
def test_the_answer_that_stands_above_the_others_is_learned_and_no_other(record: object, answer: str | None) -> None:
    assert learned(record) == ([[("user", "q"), ("assistant", answer)]] if answer else [])


QUESTION, GOOD, BAD = ({"role": "user", "content": "a"}, *({"role": "assistant", "content": text} for text in "bc"))


@pytest.mark.parametrize(
    ("before", "context"),
    [
        ([], {"prompt": "a", "messages": [QUESTION, GOOD]}),
        ([], {"prompt": "a"}),
        ([{"role": "system", "content": "s"}], {"prompt": "a"}),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], {"prompt": "a"}),
    ],
    ids=["UltraFeedback", "the prompt", "instructions", "earlier turns"],
)
def test_a_pair_of_whole_dialogues_repeats_no_turn(before: list[dict[str, str]], context: dict[str, object]) -> None:
    record = {**context, "chosen": [*before, QUESTION, GOOD], "rejected": [*before, QUESTION, BAD]}
    prompt, answers = shown(record)
    assert prompt == [*((turn["role"], turn["content"]) for turn in before), ("user", "a")]
    assert [answer for answer, _, _ in answers] == [[("assistant", "b")], [("assistant", "c")]]


@pytest.mark.parametrize(
    "record",
    [
        {"request": {"messages": [QUESTION]}, "response": {"choices": [{"message": GOOD}]}, "feedback_rating": False},
        {"data": {"dialogue": [QUESTION, GOOD]}, "annotations": [{"result": [{"value": {"choices": ["bad"]}}]}]},
        {"input": "a", "output": "b", "scores": [{"name": "user-feedback", "value": 0}]},
    ],
    ids=["a log", "Label Studio", "Langfuse"],
)
def test_a_dialogue_of_any_shape_that_was_marked_bad_is_held(record: dict[str, object]) -> None:
    assert learned(record) == []
    assert shown(record) == ([("user", "a")], [([("assistant", "b")], 0.0, None)])


def test_a_score_that_is_no_opinion_forbids_nothing() -> None:
    assert learned({"input": "a", "output": "b", "scores": [{"name": "toxicity", "value": 0}]})


PROMPTS = {
    "ChatML": ("<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n", "{}<|im_end|>"),
    "Llama 2": ("<s>[INST] a [/INST]", " {}</s>"),
    "Guanaco": ("### Human: a\n### Assistant:", " {}"),
    "Alpaca": ("Below is an instruction.\n\n### Instruction:\na\n\n### Response:\n", "{}"),
    "a question": ("Question: a\nAnswer:", " {}"),
}


@pytest.mark.parametrize(("prompt", "answer"), PROMPTS.values(), ids=PROMPTS)
def test_marks_of_templates_are_no_part_of_a_preference(prompt: str, answer: str) -> None:
    pair = {"prompt": prompt, "chosen": answer.format("b"), "rejected": answer.format("c")}
    assert shown(pair) == ([("user", "a")], [([("assistant", "b")], None, 1), ([("assistant", "c")], None, 2)])
    judged = {"prompt": prompt, "completion": answer.format("b"), "label": False}
    assert shown(judged) == ([("user", "a")], [([("assistant", "b")], 0.0, None)])


def test_pairs_of_written_out_dialogues() -> None:
    said = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n"
    assert shown({"chosen": said.format("b"), "rejected": said.format("c")}) == (
        [("user", "a")],
        [([("assistant", "b")], None, 1), ([("assistant", "c")], None, 2)],
    )


def test_what_stands_beside_an_answer_as_rejected_is_held() -> None:
    record = {"query": "Why?", "response": "It rains.", "rejected_response": "No.", "history": []}
    assert learned(record) == [[("user", "Why?"), ("assistant", "It rains.")]]
    assert [answers for answers, _, _ in shown(record)[1]] == [[("assistant", "It rains.")], [("assistant", "No.")]]
