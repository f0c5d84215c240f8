"""Ours, as an application has it: texts in, classes out, in the process; in what a service answers in."""

import example_rows
from example_rows import SETS, Question

from engine import predict
from engine.config.tasks import TaskSettings

options = example_rows.options()
name, questions = example_rows.read(options.questions)
labels = list(SETS[name].labels)
settings = TaskSettings(kind="classify", labels=SETS[name].labels, template=SETS[name].template)
model = predict.load(options.weights, {"it": settings})


def classify(some: list[Question]) -> list[int]:
    found = model.predict_all([each.text for each in some], "it")
    return [labels.index(str(answer["predicted_class"])) for answer in found]


example_rows.take_turns(classify, questions)
