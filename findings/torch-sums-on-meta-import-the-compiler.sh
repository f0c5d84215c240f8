#!/usr/bin/env bash
# torch 2.13.0: adding two tensors on device `meta` imports torch's compiler.
#
# Tensors on `meta` have shapes and no data; people build models on them to count weights or to check shapes before
# anything is loaded. Creating them, changing their shape and `Tensor.sum` import nothing. The first addition of two such
# tensors (or concatenation, or linear layer) imports `torch._dynamo` and hundreds of other modules, although nothing is
# compiled: about a second of a processor in a process that only wanted a shape.
#
# Seen on 2026-11-30 with Python 3.11:
#   view and sum: nothing imported
#   add: compiler imported, more than 500 modules
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 "numpy>=2,<3"
cat > "$work/probe.py" <<'PYTHON'
import sys
import torch

before = len(sys.modules)
one, other = torch.empty(2, 3, device="meta"), torch.empty(2, 3, device="meta")
assert one.view(6).sum().shape == ()
assert len(sys.modules) == before
print("view and sum: nothing imported")
assert (one + other).shape == (2, 3)
assert "torch._dynamo" in sys.modules
assert len(sys.modules) - before > 500
print("add: compiler imported, more than 500 modules")
PYTHON
"$work/venv/bin/python" "$work/probe.py"
