"""lm-evaluation-harness, unmodified, against a real server: its likelihoods are those of the weights.

It brings many packages of its own, so it is not among thord's: the test runs where its command is on the path.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.daemon.workers.server.harness import Server, greedy, scores

COMMAND = shutil.which("lm_eval")
QUESTIONS = (
    ("The quick brown", (" fox", " house", " 日本")),
    ("jumps over the", (" lazy dog", " moon", " Deich")),
    ("Viktor quer über", (" den großen Deich", " dog", " fox")),
)
TASK = {
    "dataset_path": "json",
    "test_split": "test",
    "doc_to_text": "{{question}}",
    "target_delimiter": "",
}
CHOICE = TASK | {
    "task": "choice",
    "output_type": "multiple_choice",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "label",
    "metric_list": [{"metric": "acc"}],
}
WRITING = TASK | {
    "task": "writing",
    "output_type": "generate_until",
    "doc_to_target": "{{choices[0]}}",
    "generation_kwargs": {"until": ["\n\n\n"], "max_gen_toks": 12, "do_sample": False},
    "metric_list": [{"metric": "exact_match"}],
}


@pytest.mark.skipif(COMMAND is None, reason="the command lm_eval is not on the path: pip install 'lm-eval[api]'")
def test_its_likelihoods_and_answers_are_those_of_the_weights(steady: Server, tmp_path: Path) -> None:
    samples = evaluated(steady, tmp_path)
    loaded, encode = steady.load(1), steady.tokenizer.encode
    judged = 0
    for sample in samples["choice"]:
        for arguments, (answer,) in zip(sample["arguments"].values(), sample["resps"], strict=True):
            context, whole = encode(arguments["arg_0"]), encode(arguments["arg_0"] + arguments["arg_1"])
            reference = scores(loaded, whole)
            expected = sum(float(reference[at - 1, whole[at]]) for at in range(len(context), len(whole)))
            assert float(answer[0]) == pytest.approx(expected, abs=1e-3)
            judged += 1
    assert judged == 9
    for sample in samples["writing"]:
        ids = greedy(loaded, encode(sample["arguments"]["gen_args_0"]["arg_0"]), 12)
        end = next((place for place, token in enumerate(ids) if token in steady.tokenizer.specials), len(ids))
        assert sample["resps"] == [[steady.tokenizer.decode(ids[:end])]]


def evaluated(server: Server, folder: Path) -> Mapping[str, list[dict]]:
    """Run both tasks; the samples of each."""
    data = folder / "data.jsonl"
    rows = [{"question": question, "choices": choices, "label": 0} for question, choices in QUESTIONS]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for task in (CHOICE, WRITING):
        written = task | {"dataset_kwargs": {"data_files": {"test": str(data)}}}
        (folder / f"{task['task']}.yaml").write_text(json.dumps(written))  # JSON is YAML
    url = f"{server.url}/v1/completions"
    done = subprocess.run(
        [
            COMMAND or "",
            *("--model", "local-completions", "--model_args", f"model=thor,base_url={url},tokenizer_backend=remote"),
            *("--tasks", "choice,writing", "--include_path", folder, "--output_path", folder / "out", "--log_samples"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {
        name: [
            json.loads(line)
            for file in folder.glob(f"out/**/samples_{name}_*")
            for line in file.read_text().split("\n")
            if line
        ]
        for name in ("choice", "writing")
    }
