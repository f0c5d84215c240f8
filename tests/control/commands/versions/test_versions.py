"""``version``, ``diff`` and ``promote``: what they show and ask."""

from tests.control.stand_in import VERSION, Ctl, StandIn


def test_a_version_shows_its_settings_only_when_asked(stand_in: StandIn, ctl: Ctl) -> None:
    assert "training.learning_rate" not in ctl("version", "12").stdout
    assert "training.learning_rate" in ctl("version", "12", "--settings").stdout


def test_the_list_draws_how_good_the_versions_were(stand_in: StandIn, ctl: Ctl) -> None:
    judged = {number: {"bits_per_byte": bits} for number, bits in (("000013", 0.9), ("000012", 1.2), ("000011", 1.8))}
    versions = [VERSION | {"version": number, "metrics": metrics} for number, metrics in judged.items()]
    stand_in.answers["GET", "/v1/versions"] = (200, [*versions, VERSION | {"version": "000010", "metrics": {}}])
    head, *lines = ctl("versions").stdout.splitlines()
    assert head.endswith("BITS/BYTE")
    assert [line.split("abababababab  ")[1] for line in lines[:4]] == [
        f"0.9000 {'#' * 10}",
        f"1.2000 {'#' * 13}",
        f"1.8000 {'#' * 20}",
        "-",
    ]
    assert lines[-1] == "bits per byte on the conversations that the version's own cycle held out; lower is better"


def test_a_version_says_why_its_weights_are_kept_and_until_when(stand_in: StandIn, ctl: Ctl) -> None:
    shown = stand_in.answers["GET", "/v1/versions/12"][1]
    kept = {"kept_because": "among the newest 4 (retention.keep_versions)", "kept_until": "2027-01-01T00:00:00Z"}
    stand_in.answers["GET", "/v1/versions/12"] = (200, {**shown, **kept})
    [line] = [line for line in ctl("version", "12").stdout.splitlines() if line.startswith("weights")]
    assert "among the newest 4 (retention.keep_versions), until 2027-01-01" in line
    stand_in.answers["GET", "/v1/versions/12"] = (200, {**shown, "kept_because": "it serves", "kept_until": None})
    [line] = [line for line in ctl("version", "12").stdout.splitlines() if line.startswith("weights")]
    assert line.endswith("kept: it serves")


def test_difference_of_two_versions(stand_in: StandIn, ctl: Ctl) -> None:
    assert ctl.json("version", "12", "--diff", "11") == {
        "from": "000011",
        "to": "000012",
        "metrics": {"loss": {"from": 3.0, "to": 2.5}},
        "settings": {"training.learning_rate": {"from": 0.002, "to": 0.001}},
    }
    assert "metrics.loss" in ctl("version", "12", "--diff", "11").stdout


def test_promote_forces_only_when_told(stand_in: StandIn, ctl: Ctl) -> None:
    ctl.json("promote", "12")
    ctl.json("promote", "12", "--force")
    assert stand_in.bodies("/v1/versions/12/promote") == [{"force": False}, {"force": True}]
