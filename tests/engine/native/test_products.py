"""Products of each variant, against float64: odd shapes, tails, and numbers that are none, tiny or large."""

import ctypes
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.inference.native import packing
from engine.models.quantized import rounded
from engine.native import library
from engine.native.library import Kernel
from engine.native.structures import Operation, Weight
from tests.engine import kernels

NEAR = {"fp32": 1e-6, "bf16": 6e-3, "int8": 5e-5, "int4": 5e-5}
"""Of the sum of what is added up; bfloat16 rounds activations too, where there are products of it."""
FORMATS: dict[str, tuple[torch.dtype, Quantization]] = {
    "fp32": (torch.float32, "none"),
    "bf16": (torch.bfloat16, "none"),
    "int8": (torch.float32, "int8"),
    "int4": (torch.float32, "int4"),
}
SHAPES = ((1, 1), (15, 31), (17, 33), (83, 256), (100, 577))  # outputs, inputs


@pytest.fixture(scope="module", params=kernels.BUILT or [None], ids=str)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if request.param is None:
        pytest.skip(kernels.NONE)
    return kernels.of(request.param)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def laid_out(weight_NK: Tensor, bias_N: Tensor | None, quantization: Quantization) -> packing.Packed:
    """As a program keeps it: in the order of the kernel."""
    packed = packing.pack(weight_NK, bias_N, quantization)
    return replace(packed, weights=packed.weights.contiguous())


def product(kernel: Kernel, x_MK: Tensor, packed: packing.Packed, threads: int = 1) -> Tensor:
    """By the kernel, in float32."""
    x_MK = x_MK.contiguous()
    found_MN = torch.full((len(x_MK), packed.outputs), 7.0)
    weight = Weight(
        format=library.FORMATS[packed.format],
        outputs=packed.outputs,
        inputs=packed.inputs,
        packed=packed.weights.data_ptr(),
        scales=None if packed.scales is None else packed.scales.data_ptr(),
        bias=None if packed.bias is None else packed.bias.data_ptr(),
    )
    operation = Operation(
        kind=library.LINEAR,
        weight=weight,
        source=ctypes.c_void_p(x_MK.data_ptr()),
        target=ctypes.c_void_p(found_MN.data_ptr()),
        source_width=packed.inputs,
        target_width=packed.outputs,
    )
    unused_M = torch.zeros(len(x_MK), dtype=torch.long)
    scratch = torch.empty(kernel.scratch_bytes(len(x_MK), packed.inputs, 0, threads), dtype=torch.uint8)
    places = (unused_M, unused_M, unused_M, unused_M[:, None], [], torch.empty(len(x_MK), 0), scratch)
    kernel.run(library.array([operation]), *places, widest=packed.inputs, longest=0, threads=threads)
    return found_MN


@pytest.mark.parametrize("name", FORMATS)
def test_any_shape_and_number_of_tokens(kernel: Kernel, name: str) -> None:
    dtype, quantization = FORMATS[name]
    for outputs, inputs in SHAPES:
        weight_NK, bias_N = numbers(outputs, inputs).to(dtype), numbers(outputs, seed=1)
        packed = laid_out(weight_NK, bias_N, quantization)
        true_NK = rounded(weight_NK, quantization).double()
        x_MK = numbers(35, inputs, seed=2)
        exact_MN = x_MK.double() @ true_NK.T + bias_N
        most_MN = x_MK.double().abs() @ true_NK.T.abs() + bias_N.abs()
        whole_MN = product(kernel, x_MK, packed, threads=2)
        assert ((whole_MN - exact_MN).abs() <= NEAR[name] * most_MN).all()
        for rows in (1, 2, 3, 4, 5, 7, 8, 13, 17):
            assert torch.equal(product(kernel, x_MK[-rows:], packed), whole_MN[-rows:])


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_at_the_edges(kernel: Kernel, name: str) -> None:
    dtype, quantization = FORMATS[name]
    packed = laid_out(numbers(16, 40).to(dtype), None, quantization)
    x_MK = numbers(7, 40, seed=3)
    x_MK[0, 3], x_MK[1, 4], x_MK[2] = float("nan"), float("inf"), 0.0
    x_MK[3], x_MK[4] = x_MK[3] * 1e-39, x_MK[4] * 1e30  # denormal, and large
    found_MN = product(kernel, x_MK, packed)
    assert not torch.isfinite(found_MN[:2]).any()
    assert (found_MN[2] == 0).all()
    assert (found_MN[3].abs() < 1e-36).all()
    exact_N = x_MK[4].double() @ rounded(numbers(16, 40).to(dtype), quantization).double().T
    assert (found_MN[4] - exact_N).norm() < 1e-2 * exact_N.norm()
    assert torch.equal(found_MN[5:], product(kernel, x_MK[5:], packed))


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_sums_of_whole_numbers_have_room(kernel: Kernel, name: str) -> None:
    _, quantization = FORMATS[name]
    x_MK = torch.ones(5, 512)  # the largest steps there are
    x_MK[1] = -1.0
    one_of_a_group = torch.arange(512) % 32 == 0
    for opposite in (1.0, -8 / 7):  # all at the one end in 4 bits, or all but one at the other
        weight_NK = torch.where(one_of_a_group, opposite, 1.0).expand(16, -1)
        exact_MN = x_MK.double() @ rounded(weight_NK, quantization).double().T
        packed = laid_out(weight_NK, None, quantization)
        for rows in (slice(0, 1), slice(1, 2), slice(0, 2), slice(0, 5)):  # one token is multiplied in its own way
            assert (product(kernel, x_MK[rows], packed) - exact_MN[rows]).abs().max() <= NEAR[name] * 512
