"""What the gate demands of a candidate, measure by measure.

| demand              | of the measure  | on               | as `[gate]` says                             |
| ------------------- | --------------- | ---------------- | -------------------------------------------- |
| to be better        | `bits_per_byte` | all samples      | by `min_improvement`, with `confidence`      |
| not to become worse | `bits_per_byte` | each kind        | by more than `tolerance`, with `confidence`  |
| not to be worse     | `bits_per_byte` | the fresh ones   | as far as `confidence` can show it           |
| not to forget       | `bits_per_byte` | earlier ones     | by more than `max_forgetting`, if surely so  |
| not to become worse | its own         | each guarded set | by more than its tolerance, with `confidence`|
| to keep budgets     | speed, memory   | one client       | `engine.evaluation.budgets`                  |

Fresh are samples that no gate had read when the incumbent was chosen. The second look at them costs a candidate that is
better nearly nothing; how much the gate's figures exaggerate is in `docs/development/studies.md`. Earlier ones are all
others. Guarded sets are suites with a tolerance; where no version serves there is nothing that they could guard.

A demand on a slice of fewer samples than `min_conversations` is shown, but does not decide. One on a guarded set always
decides: somebody asked for it.
"""

from dataclasses import dataclass

from engine.evaluation.results import By


@dataclass(frozen=True)
class Guard:
    """A demand that no slice becomes worse.

    Attributes:
        measure: by its name in `engine.evaluation.measures.registry`.
        by: how the samples are sliced.
        tolerance: by how much a slice may be worse, in the unit of the measure; null: ``gate.tolerance``.
    """

    measure: str
    by: By
    tolerance: float | None = None


@dataclass(frozen=True)
class Policy:
    """What decides on a candidate.

    Attributes:
        primary: the measure by which it must be better, by its name.
        guards: the measures by which no slice of it may be worse.
    """

    primary: str
    guards: tuple[Guard, ...]


POLICY = Policy(primary="bits_per_byte", guards=(Guard("bits_per_byte", by="kind"),))
