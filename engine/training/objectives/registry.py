"""Objectives by name."""

import importlib

from engine.config.training import TrainingSettings
from engine.data.batches import Batch
from engine.objectives import OBJECTIVES
from engine.training.objectives.base import Objective, ReferenceModel


def make(settings: TrainingSettings, reference: ReferenceModel | None) -> Objective[Batch]:
    """The objective that ``training.objective`` names; the model stays close to ``reference``, where there is one.

    Raises:
        TypeError: the module in the table has no ``make``, or what it makes is not an objective.
    """
    module = importlib.import_module(OBJECTIVES[settings.objective].module)
    make_one: object = getattr(module, "make", None)
    if not callable(make_one):
        raise TypeError(f"objective '{settings.objective}': {module.__name__} has no function make")
    made: object = make_one(settings, reference)
    if not isinstance(made, Objective):
        raise TypeError(f"objective '{settings.objective}': {module.__name__}.make gives a {type(made).__name__}")
    return made
