"""The settings of names reach the readers as they compare names."""

import pytest
from pydantic import ValidationError

from daemon.settings.data import DataSettings
from daemon.workers.reading import limits_of
from engine.data.records.names.settings import Names


def test_names_of_the_settings_are_those_of_the_readers() -> None:
    settings = DataSettings.model_validate(
        {
            "max_record_megabytes": 2,
            "speakers": {"assistant": ("Mia  Ek",), "user": ("BEN",), "ignored": ("Welcome Bot",), "pause_hours": 2.0},
            "columns": {"user": ("Frage",), "conversation": ("Vorgang",)},
            "roles": {"assistant": ("Beraterin",)},
        }
    )
    limits = limits_of(settings)
    assert limits.record_bytes == 2 << 20
    assert limits.names == Names(
        {"mia ek": "assistant", "ben": "user", "welcome bot": "ignored"},
        {"frage": "user", "vorgang": "conversation"},
        {"beraterin": "assistant"},
        7200.0,
    )


@pytest.mark.parametrize(
    ("table", "lists", "reason"),
    [
        (
            "speakers",
            {"assistant": ("Mia",), "user": ("mia ",)},
            r"is in both data\.speakers\.assistant and data\.speakers\.user",
        ),
        ("columns", {"user": ("x",), "time": ("X",)}, r"is in both data\.columns\.user and data\.columns\.time"),
        ("roles", {"user": (" ",)}, r"data\.roles\.user: a name is blank"),
    ],
)
def test_a_name_that_is_two_things_is_refused(table: str, lists: dict[str, tuple[str, ...]], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        DataSettings.model_validate({table: lists})
