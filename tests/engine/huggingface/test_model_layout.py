"""Which layouts the families read, by their records."""

from engine.families.table import FAMILIES
from engine.huggingface import model_layout
from engine.model_files import MODEL_TYPES


def test_what_is_said_at_once_of_a_model_type_is_what_the_families_read() -> None:
    layouts = [layout for family in FAMILIES.values() for layout in model_layout.of(family)]
    assert tuple(name for layout in layouts for name in layout.model_types) == MODEL_TYPES
