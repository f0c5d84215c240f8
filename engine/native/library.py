"""The boundary to the compiled kernels (`SOURCES`): their functions, and where they are found.

Raw addresses live here. There is a file for each variant; its name holds a sum of the sources and the compiler's
options. So kernels of other sources are not found, and torch computes instead.
"""

import ctypes
import functools
import hashlib
from _ctypes import CFuncPtr
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.native import variants
from engine.native.structures import COUNT, FLOAT, POINTER, CausalAttention, Group, Heads, Operation, Operations, Tokens
from engine.native.variants import Variant

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / name for name in ("causal_attention.cpp", "decoder.cpp", "norms.cpp", "passes.cpp"))
_HEADERS = tuple(sorted(FOLDER.glob("*.h")))
OPTIONS = ("-std=c++20", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC")

EMBED, NORM, LINEAR, ATTEND, GATE = range(5)
SET, ADD, GELU = range(3)
FORMATS = {"fp32": 0, "bf16": 1, "int8": 2, "int4": 3}
_TYPES = {torch.float32: 0, torch.bfloat16: 1}
_ARGUMENTS: dict[str, type[ctypes.c_void_p | ctypes.c_int64 | ctypes.c_float]] = {
    "p": POINTER,
    "n": COUNT,
    "f": FLOAT,
}


class Kernel:
    """The functions of the library."""

    def __init__(self, file: Path) -> None:
        library = ctypes.CDLL(str(file))
        self._run = _declared(library["thord_run"], "pn p p nnn")
        self._scratch = _declared(library["thord_scratch"], "nnnn", COUNT)
        self._norm = _declared(library["thord_norm"], "nn pppppp nn f n")
        self._norm_backward = _declared(library["thord_norm_backward"], "nn pppppppp nn n")
        self._gelu = _declared(library["thord_gelu"], "n pp n n")
        self._gelu_backward = _declared(library["thord_gelu_backward"], "n ppp n n")
        self._gated = _declared(library["thord_gated"], "n ppp n n")
        self._gated_backward = _declared(library["thord_gated_backward"], "n ppppp n n")
        self._softmax = _declared(library["thord_softmax"], "n pp nnnnn f n")
        self._softmax_backward = _declared(library["thord_softmax_backward"], "n pp nn f n")
        self._causal_attention = _declared(library["thord_causal_attention"], "p n n")
        self._rotate = _declared(library["thord_rotate"], "n p nnn pp p nnn nnnn f n")
        self._cross_entropy = _declared(library["thord_cross_entropy"], "n pp nn ff p n")
        self._losses = _declared(library["thord_losses"], "n pp nn p n")

    def scratch_bytes(self, tokens: int, widest: int, longest: int, threads: int) -> int:
        """Room that `run` needs besides the buffers of the operations."""
        return int(self._scratch(tokens, widest, longest, threads))

    def run(
        self,
        operations: Operations,
        tokens_M: Tensor,
        rows_M: Tensor,
        positions_M: Tensor,
        table_RP: Tensor,
        groups: Sequence[Group],
        inner_MR: Tensor,
        scratch: Tensor,
        *,
        widest: int,
        longest: int,
        threads: int,
    ) -> None:
        """Carry the operations out on M tokens; the first three and the table of pages are int64 and contiguous.

        Without operations that attend, there may be no groups. All must be kept by somebody until this returns.
        """
        side_by_side = (Group * len(groups))(*groups)
        tokens = Tokens(
            count=len(tokens_M),
            ids=tokens_M.data_ptr(),
            rows=rows_M.data_ptr(),
            positions=positions_M.data_ptr(),
            table=table_RP.data_ptr(),
            table_width=table_RP.shape[1],
            groups=ctypes.addressof(side_by_side),
            group_count=len(groups),
            inner=inner_MR.data_ptr(),
            inner_width=inner_MR.shape[1],
        )
        self._run(
            ctypes.addressof(operations),
            len(operations),
            ctypes.addressof(tokens),
            scratch.data_ptr(),
            widest,
            longest,
            threads,
        )

    def norm(
        self, x_ND: Tensor, weight_D: Tensor, bias_D: Tensor | None, epsilon: float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """RMSNorm, or with a bias LayerNorm, in ``dtype``; and of each row the mean that was taken off, and the scale.

        All are contiguous, weight and bias in float32.
        """
        out_ND, (means_N, scales_N) = torch.empty_like(x_ND, dtype=dtype), torch.empty(2, len(x_ND))
        self._norm(
            _TYPES[x_ND.dtype],
            _TYPES[dtype],
            x_ND.data_ptr(),
            weight_D.data_ptr(),
            None if bias_D is None else bias_D.data_ptr(),
            out_ND.data_ptr(),
            means_N.data_ptr(),
            scales_N.data_ptr(),
            *x_ND.shape,
            epsilon,
            torch.get_num_threads(),
        )
        return out_ND, means_N, scales_N

    def norm_backward(
        self, gradient_ND: Tensor, x_ND: Tensor, weight_D: Tensor, means_N: Tensor, scales_N: Tensor, *, has_bias: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradients by x, weight and bias, given that by what `norm` made of them, contiguous."""
        by_x_ND, by_weight_D = torch.empty_like(x_ND), torch.zeros_like(weight_D)
        by_bias_D = torch.zeros_like(weight_D) if has_bias else None
        tensors = (gradient_ND, x_ND, weight_D, means_N, scales_N, by_x_ND, by_weight_D)
        self._norm_backward(
            _TYPES[x_ND.dtype],
            _TYPES[gradient_ND.dtype],
            *(tensor.data_ptr() for tensor in tensors),
            None if by_bias_D is None else by_bias_D.data_ptr(),
            *x_ND.shape,
            torch.get_num_threads(),
        )
        return by_x_ND, by_weight_D, by_bias_D

    def gelu(self, x: Tensor) -> Tensor:
        """Its tanh form of a contiguous tensor of one of `_TYPES`."""
        out = torch.empty_like(x)
        self._gelu(_TYPES[x.dtype], x.data_ptr(), out.data_ptr(), x.numel(), torch.get_num_threads())
        return out

    def gelu_backward(self, gradient: Tensor, x: Tensor) -> Tensor:
        """The gradient by ``x``, given that by what `gelu` made of it; both contiguous and of one dtype."""
        out = torch.empty_like(x)
        addresses = gradient.data_ptr(), x.data_ptr(), out.data_ptr()
        self._gelu_backward(_TYPES[x.dtype], *addresses, x.numel(), torch.get_num_threads())
        return out

    def gated(self, gate: Tensor, other: Tensor) -> Tensor:
        """SwiGLU's: ``gate`` times its sigmoid, times ``other``; both contiguous and of one dtype."""
        out = torch.empty_like(gate)
        addresses = gate.data_ptr(), other.data_ptr(), out.data_ptr()
        self._gated(_TYPES[gate.dtype], *addresses, gate.numel(), torch.get_num_threads())
        return out

    def gated_backward(self, gradient: Tensor, gate: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients by both, given that by what `gated` made of them; all three contiguous and of one dtype."""
        to_gate, to_other = torch.empty_like(gate), torch.empty_like(other)
        addresses = (tensor.data_ptr() for tensor in (gradient, gate, other, to_gate, to_other))
        self._gated_backward(_TYPES[gate.dtype], *addresses, gate.numel(), torch.get_num_threads())
        return to_gate, to_other

    def softmax_(self, scores_NRS: Tensor, ranges_BQ2: Tensor, scale: float) -> None:
        """Scores, contiguous, become the softmax of ``scale`` times those of each row that are in its range, else 0.

        Rows have B and Q in common with the ranges (int64, contiguous): N is B times heads, R is Q times a group.
        """
        batch, queries, _ = ranges_BQ2.shape
        self._softmax(
            _TYPES[scores_NRS.dtype],
            scores_NRS.data_ptr(),
            ranges_BQ2.data_ptr(),
            *scores_NRS.shape,
            len(scores_NRS) // batch,
            scores_NRS.shape[1] // queries,
            scale,
            torch.get_num_threads(),
        )

    def softmax_backward_(self, gradient_NRS: Tensor, shares_NRS: Tensor, scale: float) -> None:
        """The gradient by what `softmax_` made becomes that by the scores; both contiguous and of one dtype."""
        rows, width = gradient_NRS.shape[0] * gradient_NRS.shape[1], gradient_NRS.shape[2]
        addresses = gradient_NRS.data_ptr(), shares_NRS.data_ptr()
        kind = _TYPES[gradient_NRS.dtype]
        self._softmax_backward(kind, *addresses, rows, width, scale, torch.get_num_threads())

    def attend(self, q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, begins_BT: Tensor, out_BHTE: Tensor) -> None:
        """Into ``out_BHTE`` what each position takes from those from the one in ``begins_BT`` to its own.

        All in float32, their last dimension contiguous; begins are int64, contiguous, and fall in no row.
        """
        given = {"queries": q_BHTE, "keys": k_BKTE, "values": v_BKTE, "mixed": out_BHTE}
        self._attend(begins_BT, given, back=False)

    def attend_backward(
        self, gradient_BHTE: Tensor, given: Sequence[Tensor], begins_BT: Tensor, outs: Sequence[Tensor]
    ) -> None:
        """Into ``outs`` the gradients by queries, keys and values as ``given`` to `attend`, as it wants them too."""
        names = ("queries", "keys", "values", "by_queries", "by_keys", "by_values", "by_mixed")
        self._attend(begins_BT, dict(zip(names, (*given, *outs, gradient_BHTE), strict=True)), back=True)

    def _attend(self, begins_BT: Tensor, heads: dict[str, Tensor], *, back: bool) -> None:
        rows, count, positions, width = heads["queries"].shape
        places = {name: Heads.of(x_BHTE) for name, x_BHTE in heads.items()}
        sizes = (rows, count, heads["keys"].shape[1], positions, width)
        of = CausalAttention(*sizes, begins_BT.data_ptr(), **places)
        self._causal_attention(ctypes.addressof(of), back, torch.get_num_threads())

    def rotate(self, x_BHTE: Tensor, cos_BTE: Tensor, sin_BTE: Tensor, out_BHTE: Tensor, sign: float) -> None:
        """Into ``out_BHTE``, in ``x_BHTE``'s dtype, the heads turned; cosines and sines are contiguous, in float32.

        Only the numbers of a head have to lie side by side.
        """
        self._rotate(
            _TYPES[x_BHTE.dtype],
            x_BHTE.data_ptr(),
            *x_BHTE.stride()[:3],
            cos_BTE.data_ptr(),
            sin_BTE.data_ptr(),
            out_BHTE.data_ptr(),
            *out_BHTE.stride()[:3],
            *x_BHTE.shape,
            sign,
            torch.get_num_threads(),
        )

    def cross_entropy(self, scores_NV: Tensor, targets_N: Tensor, smoothing: float, scale: float) -> Tensor:
        """Losses [N] in float32; the scores, contiguous, become ``scale`` times the gradient of their sum.

        Raises:
            IndexError: a target is not among the scores.
        """
        _check_targets(scores_NV, targets_N)
        losses_N = torch.empty(len(targets_N))
        self._cross_entropy(
            _TYPES[scores_NV.dtype],
            scores_NV.data_ptr(),
            targets_N.data_ptr(),
            *scores_NV.shape,
            smoothing,
            scale,
            losses_N.data_ptr(),
            torch.get_num_threads(),
        )
        return losses_N

    def losses(self, scores_NV: Tensor, targets_N: Tensor) -> Tensor:
        """Cross-entropies [N] in float32; both are contiguous and stay as they are. Raises as `cross_entropy`."""
        _check_targets(scores_NV, targets_N)
        losses_N = torch.empty(len(targets_N))
        addresses = scores_NV.data_ptr(), targets_N.data_ptr()
        kind = _TYPES[scores_NV.dtype]
        self._losses(kind, *addresses, *scores_NV.shape, losses_N.data_ptr(), torch.get_num_threads())
        return losses_N


def _check_targets(scores_NV: Tensor, targets_N: Tensor) -> None:
    if len(targets_N) and not 0 <= int(targets_N.min()) <= int(targets_N.max()) < scores_NV.shape[1]:
        raise IndexError(
            f"a target is not one of the {scores_NV.shape[1]} pieces: {targets_N.min()} to {targets_N.max()}"
        )


def _declared(function: CFuncPtr, arguments: str, result: type[ctypes.c_int64] | None = None) -> CFuncPtr:
    """With the types of its arguments: pointers, whole numbers, floats."""
    function.argtypes = [_ARGUMENTS[letter] for letter in arguments.replace(" ", "")]
    function.restype = result
    return function


def kernel_for(x: Tensor) -> Kernel | None:
    """What computes on ``x`` in one pass; null where torch is to do it: elsewhere, or compiling."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype not in _TYPES or type(x) is not Tensor:
        return None  # of another class are tensors that only know their shape
    return kernel()


def array(operations: Sequence[Operation]) -> Operations:
    """As C wants them: side by side."""
    return (Operation * len(operations))(*operations)


@functools.cache
def kernel() -> Kernel | None:
    """The fastest kernels that were built and that this processor can run; null where there are none.

    Raises:
        NoSuchVariantError: the environment asks for kernels that this processor cannot run.
    """
    variant = chosen()
    return None if variant is None else Kernel(path(variant))


def chosen() -> Variant | None:
    """The variant of `kernel`. Raises as it does."""
    return next((variant for variant in variants.usable_here() if path(variant).is_file()), None)


def path(variant: Variant) -> Path:
    """Where the kernels of these sources for a variant are, or would be."""
    sources = b"".join(source.read_bytes() for source in (*SOURCES, *_HEADERS))
    sum_ = hashlib.sha256(sources + " ".join((*OPTIONS, *variant.options)).encode())
    return FOLDER / f"kernels-{variant.name}-{sum_.hexdigest()[:16]}.so"
