"""A GPU that is none: tensors that say ``cuda``, with numbers in main memory, and rules as strict as the real one's.

What mixes devices fails as it would on a GPU. What the processor waits for there is counted, and so is attention that
would hold all its scores. Needs the library of ``device.cpp`` loaded before torch.
"""

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

GPU = torch.device("cuda", 0)
_aten = torch.ops.aten
_MOVE, _COPY = _aten._to_copy.default, _aten.copy_.default
_INDEX = {_aten.index.Tensor, _aten.index_put_.default, _aten._index_put_impl_.default, _aten.index_put.default}
_NUMBERS = {_aten._local_scalar_dense.default, _aten.equal.default}
"""What gives no tensors."""
_LOOKS = {*_NUMBERS, _aten.nonzero.default, _aten.masked_select.default, _aten._unique2.default, _aten.bincount.default}


def _lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cell: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    gates = input_gates + hidden_gates
    gates = gates if input_bias is None else gates + input_bias + hidden_bias
    take, keep, new, show = gates.chunk(4, 1)
    take, keep, new, show = take.sigmoid(), keep.sigmoid(), new.tanh(), show.sigmoid()
    after = keep * cell + take * new
    return show * after.tanh(), after, torch.cat([take, keep, new, show], 1)


def _lstm_cell_backward(
    by_hidden: Tensor | None, by_cell: Tensor | None, cell: Tensor, after: Tensor, gates: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    take, keep, new, show = gates.chunk(4, 1)
    by_hidden = torch.zeros_like(after) if by_hidden is None else by_hidden
    by_after = (0 if by_cell is None else by_cell) + by_hidden * show * (1 - after.tanh() ** 2)
    by_gates = torch.cat(
        [
            by_after * new * take * (1 - take),
            by_after * cell * keep * (1 - keep),
            by_after * take * (1 - new**2),
            by_hidden * after.tanh() * show * (1 - show),
        ],
        1,
    )
    return by_gates, by_after * keep, by_gates.sum(0) if has_bias else None


def _log_softmax(values: Tensor, dim: int, to_float: bool) -> Tensor:
    return _aten._log_softmax.default(values.float() if to_float else values, dim, False)


_OF_GPUS = {
    _aten._thnn_fused_lstm_cell.default: _lstm_cell,
    _aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_backward,
    _aten._log_softmax.default: _log_softmax,
}
"""What processors do not do, or not in one."""


class OnGpu(Tensor):
    """``held`` has the numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnGpu":
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=GPU
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"OnGpu({self.held!r})"

    def tolist(self) -> object:
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} where no GPU is pretended")


_KNOWN = (Tensor, torch.nn.Parameter, OnGpu)


class Gpu(TorchDispatchMode):
    """Inside, the device ``cuda`` is there.

    Attributes:
        calls: operations on it, in order.
        looks: where the processor waited for numbers of it: the operation, and the line of ours.
        whole: shapes of queries and keys in attention that would have held all scores.
        truths: masks of attention with gradients that only say who may look; of each torch makes and keeps another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[OpOverload] = []
        self.looks: list[str] = []
        self.whole: list[str] = []
        self.truths = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's compiler need not be told to leave this alone at every call: nothing is compiled here."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if other := next((kind for kind in types if kind not in _KNOWN), None):
            with self:
                return other.__torch_dispatch__(func, types, args, kwargs)
        from_gpu = OnGpu in types
        asked = kwargs.get("device")
        to_gpu = from_gpu if asked is None else torch.device(asked).type == "cuda"
        if func is _COPY:
            to_gpu = isinstance(args[0], OnGpu)
        if from_gpu:
            self.calls.append(func)
            self._check(func, args, [one for one in _tensors_in((args, kwargs)) if type(one) is not OnGpu])
            if func in _LOOKS or not to_gpu or (func in _INDEX and any(_is_truth(one) for one in args[1])):
                self._look(func)
        if asked is not None and to_gpu:
            kwargs["device"] = torch.device("cpu")
        held_args, held_kwargs = _each(_held, args), _each(_held, kwargs)
        out = _OF_GPUS.get(func, func)(*held_args, **held_kwargs)
        if func in _NUMBERS:
            return out
        if func is _COPY:
            return args[0]
        if func is _MOVE and from_gpu != to_gpu:  # to another device there is always a copy
            out = out.clone() if any(out is one for one in held_args) else out
            return OnGpu(out) if to_gpu else out
        if not to_gpu:
            return out
        made = _each(_on_gpu, out)
        own = not from_gpu or func in _OF_GPUS or not _shares_memory(func)
        return made if own else return_and_correct_aliasing(func, args, kwargs, made)

    def _check(self, func: object, args: Sequence[object], here: Sequence[Tensor]) -> None:
        """A single number may lie anywhere, and so may indices."""
        if func in (_MOVE, _COPY):
            return
        if func in _INDEX and isinstance(args[0], OnGpu):
            here = [one for one in here if all(one is not other for other in args[1])]
        if any(one.ndim or one is args[0] for one in here):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, found cuda:0 and cpu")

    def _look(self, func: object) -> None:
        calling = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_stack(None))
        ours = ((file, line) for file, line in calling if "/engine/" in file)
        file, line = next(((file, line) for file, line in ours if not file.endswith("pretended.py")), ("", 0))
        self.looks.append(f"{func} {'elsewhere' if '/tests/' in file else file}:{line}")

    def attend(
        self,
        attention: Callable[..., Tensor],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attn_mask: Tensor | None = None,
        **options: object,
    ) -> Tensor:
        """Torch's kernels that hold a part of the scores only want heads alike, unless in bf16 and without a mask."""
        shared = q.shape[1] != k.shape[1]
        if isinstance(q, OnGpu) and shared and (attn_mask is not None or q.dtype != torch.bfloat16):
            self.whole.append(f"{tuple(q.shape)} {tuple(k.shape)}")
        if isinstance(attn_mask, OnGpu) and q.requires_grad:
            self.truths += attn_mask.dtype == torch.bool
        return attention(q, k, v, attn_mask=attn_mask, **options)


@functools.cache
def _shares_memory(operation: OpOverload) -> bool:
    """Whether what it gives lies where something that it was given lies."""
    return any(returned.alias_info for returned in operation._schema.returns)


def _held(leaf: object) -> object:
    return leaf.held if type(leaf) is OnGpu else leaf


def _on_gpu(leaf: object) -> object:
    return OnGpu(leaf) if isinstance(leaf, Tensor) else leaf


def _each(change: Callable[[object], object], value: object) -> object:
    """``value`` with every leaf changed. Torch's own trees do the same, and take half the time of all these tests."""
    kind = type(value)
    if kind is tuple or kind is list:
        return kind([_each(change, each) for each in value])
    if kind is dict:
        return {key: _each(change, each) for key, each in value.items()}
    return change(value)


def _tensors_in(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [one for each in value for one in _tensors_in(each)] if isinstance(value, (tuple, list)) else []


def _is_truth(index: Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool


def _no_gradients(mode: bool) -> torch.no_grad:
    return torch.no_grad()


@contextlib.contextmanager
def gpu() -> Iterator[Gpu]:
    """A machine with a GPU."""
    instead: Mapping[str, Callable[..., object]] = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: True,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda device=None: (8 << 30, 12 << 30),
        "memory_reserved": lambda device=None: 2 << 20,
        "memory_allocated": lambda device=None: 1 << 20,
        "max_memory_allocated": lambda device=None: 1 << 20,
        "get_rng_state": lambda device="cuda": torch.get_rng_state(),
        "set_rng_state": lambda state, device="cuda": None,
        "manual_seed_all": lambda seed: None,
    }
    pretended = Gpu()
    with contextlib.ExitStack() as stack:
        for name, function in instead.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, function))
        attention = functools.partial(pretended.attend, F.scaled_dot_product_attention)
        stack.enter_context(mock.patch.object(F, "scaled_dot_product_attention", attention))
        # Views of pretended tensors cannot be taken in inference mode; without gradients it is the same.
        stack.enter_context(mock.patch.object(torch._C, "_InferenceMode", _no_gradients))
        # A parameter that moves to the GPU is of another class, and takes the place of the one before.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` makes them here, and moves them then
        stack.callback(torch._C._set_only_lift_cpu_tensors, False)
        yield stack.enter_context(pretended)
