"""In which numbers versions answer: the table of `engine.inference.versions.precision`."""

from types import SimpleNamespace

import pytest
import torch

from engine import device
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.inference.versions import precision
from engine.native import library

THOR = ModelSettings(hidden=64, layers=1, heads=4, kv_heads=2, feed_forward=64, context=64)
GPT2 = ModelSettings(family="gpt2", hidden=64, layers=1, heads=4, context=64)
NARROW = THOR.model_copy(update={"hidden": 32})
LSTM = ModelSettings(family="char_lstm", hidden=64, layers=1, context=64)


@pytest.mark.parametrize("fast_bf16", [False, True])
@pytest.mark.parametrize("has_kernel", [False, True])
@pytest.mark.parametrize(("model", "kernel_knows"), [(THOR, True), (GPT2, True), (NARROW, False), (LSTM, False)])
def test_auto_takes_bf16_where_the_kernel_answers_and_what_is_fast_elsewhere(
    model: ModelSettings, kernel_knows: bool, has_kernel: bool, fast_bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(kind="cpu", fast_bf16=fast_bf16, trains_lstm_bf16=False)
    monkeypatch.setattr(device, "capabilities", lambda kind: found)
    monkeypatch.setattr(library, "kernel", lambda: object() if has_kernel else None)
    expected = torch.bfloat16 if fast_bf16 or (has_kernel and kernel_knows) else torch.float32
    assert precision.of_model(model, InferenceSettings(device="cpu")).dtype == expected
    for asked, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        assert precision.of_model(model, InferenceSettings(device="cpu", precision=asked)).dtype == dtype
