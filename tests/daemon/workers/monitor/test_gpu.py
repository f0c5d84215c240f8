"""NVML is faked: a machine without a GPU must show that figures are read from it and come in the right units."""

from types import SimpleNamespace

import pynvml
import pytest

from daemon.workers.monitor import gpu


def refuse(*_: object) -> object:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two cards; the second one tells neither temperature nor power."""
    names = ["A", "B"]

    def install(name: str, function: object) -> None:
        monkeypatch.setattr(pynvml, name, function)

    install("nvmlInit", lambda: None)
    install("nvmlDeviceGetCount", lambda: len(names))
    install("nvmlDeviceGetHandleByIndex", lambda index: names[index])
    install("nvmlDeviceGetName", lambda handle: handle)
    install("nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(total=80 << 30, used=3 << 30))
    install("nvmlDeviceGetUtilizationRates", lambda _: SimpleNamespace(gpu=42, memory=7))
    install("nvmlDeviceGetTemperature", lambda handle, _: 61 if handle == "A" else refuse())
    install("nvmlDeviceGetPowerUsage", lambda handle: 250_500 if handle == "A" else refuse())
    return names


def test_every_card_is_read_in_bytes_degrees_and_watts(cards: list[str]) -> None:
    first, second = gpu.read(gpu.find())
    assert (first.name, first.memory_total, first.memory_used) == ("A", 80 << 30, 3 << 30)
    assert (first.utilization_percent, first.temperature_celsius, first.power_watts) == (42.0, 61.0, 250.5)
    assert (second.utilization_percent, second.temperature_celsius, second.power_watts) == (42.0, None, None)


def test_a_card_that_is_gone_is_left_out(cards: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    handles = gpu.find()
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: refuse() if handle == "A" else _memory())
    assert [found.name for found in gpu.read(handles)] == ["B"]


def test_without_a_driver_there_are_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert gpu.find() == ()
    assert gpu.read(()) == ()


def _memory() -> SimpleNamespace:
    return SimpleNamespace(total=1, used=1)
