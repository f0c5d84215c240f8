"""The page of a report: what people wrote is shown and never acts, and nothing is fetched from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from control.evaluation_answers import Report, ReportCase, ReportTaskCase
from control.report import page

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror='alert(2)'> & \"quoted\""


def case(candidate: float, incumbent: float) -> ReportCase:
    return {"source": HOSTILE, "prompt": HOSTILE, "answer": HOSTILE, "candidate": candidate, "incumbent": incumbent}


def answered(expected: str, said: str, probability: float | None) -> ReportTaskCase:
    return {
        "text": HOSTILE,
        "expected": expected,
        "candidate": said,
        "incumbent": HOSTILE,
        "probability": probability,
    }


@pytest.fixture
def report() -> Report:
    compared = {
        "conversations": 9,
        "candidate": 1.5,
        "incumbent": 1.6,
        "difference": -0.1,
        "lower": -0.2,
        "upper": -0.05,
    }
    return {
        "version": "000012",
        "against": "000003",
        "measured_on": "held out",
        "decided": True,
        "verdict": {
            "passed": False,
            "reason": f"better overall, but {HOSTILE}",
            "overall": compared,
            "slices": {HOSTILE: {**compared, "passed": None}},
            "sets": {"exam": {**compared, "passed": False}},
            "budgets": {"max_memory_megabytes": {"found": None, "most": 512, "passed": False}},
        },
        "analysis": {
            "conversations": 9,
            "candidate": 1.5,
            "incumbent": 1.6,
            "edges": [1.0, 2.0, 3.0],
            "candidate_counts": [5, 4],
            "incumbent_counts": [4, 5],
            "worst": [case(3.0, 2.5)],
            "won": [case(1.0, 2.0)],
            "lost": [case(2.0, 1.0)],
            "differences": [-1.0, 0.0, 1.0],
            "better": 5,
            "worse": 4,
            "slices": [{"by": "file", "name": HOSTILE, "conversations": 9, "candidate": 1.5, "incumbent": 1.6}],
        },
        "tasks": {
            HOSTILE: {
                "kind": "classify",
                "rows": 4,
                "right": 3,
                "incumbent_right": 2,
                "candidate": {"accuracy": 0.75},
                "incumbent": {"accuracy": 0.5},
                "labels": [HOSTILE, "glad"],
                "counts": [[1, 1], [0, 2]],
                "confused": [
                    {"expected": HOSTILE, "predicted": "glad", "candidate": 1, "incumbent": 2, "examples": [HOSTILE]}
                ],
                "wrong": [answered(HOSTILE, "glad", 0.9)],
                "better": 1,
                "worse": 0,
                "won": [answered("glad", HOSTILE, None)],
                "lost": [],
            }
        },
        "reliability": {"candidate": [{"tokens": 3, "confidence": 0.5, "right": 0.4}], "incumbent": []},
        "samples": [{"prompt": HOSTILE, "expected": HOSTILE, "candidate": HOSTILE, "incumbent": None}],
        "suites": {HOSTILE: {"samples": 3, "candidate": {"accuracy": 0.7}, "incumbent": {}}},
        "metrics": {"forgetting_bits_per_byte": 0.01},
        "manifest": {"family": HOSTILE, "created_at": HOSTILE, "parameters": 1000},
        "anchor": None,
    }


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_texts_are_shown_and_never_act(report: Report) -> None:
    reader = _Reader()
    made = page.render(report)
    reader.feed(made)
    assert not reader.tags & {"script", "img", "link", "iframe", "object"}
    assert not [name for name in reader.attributes if name.startswith("on") or name in {"src", "href"}]
    assert not re.search(r"url\(|@import|https?://", made)
    assert reader.text.count(HOSTILE) >= 12


def test_it_says_why_in_light_dark_and_on_paper(report: Report) -> None:
    made = page.render(report)
    assert "The gate refused it" in made
    assert "+0.0100" in made
    assert made.count("<svg") == 3
    assert "prefers-color-scheme: dark" in made
    assert "@media print" in made


def test_a_version_alone_and_without_a_verdict_has_a_page(report: Report) -> None:
    report["against"], report["verdict"], report["samples"] = None, None, []
    analysis = report["analysis"]
    analysis["incumbent"], analysis["incumbent_counts"], analysis["differences"] = None, [], []
    analysis["won"] = analysis["lost"] = []
    analysis["worst"] = [{**case(1.0, 1.0), "incumbent": None}]
    assert "No comparison" in page.render(report)


def test_a_task_shows_what_is_confused_and_what_was_won(report: Report) -> None:
    reader = _Reader()
    reader.feed(page.render(report))
    assert "3 of 4 answers are right, 2 were before: 1 won, 0 lost." in reader.text
    assert f"glad for {HOSTILE}: 1, 2 before" in reader.text
    assert "glad (90% sure)" in reader.text
    report["tasks"] = {}
    assert "Answers won" not in page.render(report)
