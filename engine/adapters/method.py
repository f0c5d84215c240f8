"""Whether a run changes all weights of a model or learns an adapter: a pure function. Torch is not needed.

| ``training.method`` | the run goes on from                                    | method      |
| ------------------- | ------------------------------------------------------- | ----------- |
| set                 | anything                                                | what is set |
| unset               | a model from elsewhere, of a family with linear maps    | ``lora``    |
| unset               | anything else                                           | ``full``    |

An adapter keeps a model from elsewhere as it came, and writes megabytes a cycle. A model trained here from nothing has
more to learn than an adapter holds.
"""

from engine.config.training import Method, TrainingSettings
from engine.families.table import FAMILIES
from engine.manifest import VersionManifest


def resolved(training: TrainingSettings, base: VersionManifest | None) -> Method:
    """How a run goes on from the version ``base``, or begins with nothing; what is set is not judged here."""
    if training.method is not None:
        return training.method
    family = FAMILIES.get(base.family) if base is not None and base.is_pretrained else None
    return "lora" if family is not None and family.adaptable else "full"
