#!/usr/bin/env bash
# transformers 5.24.0: Phi3Config replaces the trained length that rope_parameters states by its own default, 4096.
#
# original_max_position_embeddings is where transformers 5 documents it: in rope_parameters. LlamaConfig keeps the number
# that stands there. Phi3Config has a field of the same name besides, with a default, and writes that default over the
# number in rope_parameters. So 8192 positions are twice the trained length instead of sixteen times, and nothing says so.
# Only the field outside of rope_parameters is heeded.
#
# Seen on 2026-12-01 with Python 3.11:
#   LlamaConfig, in rope_parameters: 512
#   Phi3Config, in rope_parameters: 4096
#   Phi3Config, beside rope_parameters: 512
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat > "$work/probe.py" <<'PYTHON'
from transformers import LlamaConfig, Phi3Config

NAME = "original_max_position_embeddings"
FACTORS = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 8192}
for kind in (LlamaConfig, Phi3Config):
    config = kind(**SHAPE, rope_parameters={**FACTORS, NAME: 512})
    print(f"{kind.__name__}, in rope_parameters: {config.rope_parameters[NAME]}")
config = Phi3Config(**SHAPE, rope_parameters=dict(FACTORS), **{NAME: 512})
print(f"Phi3Config, beside rope_parameters: {config.rope_parameters[NAME]}")
PYTHON
(cd "$work" && venv/bin/python probe.py 2> /dev/null) | tee "$work/seen"
diff "$work/seen" - <<'EXPECTED'
LlamaConfig, in rope_parameters: 512
Phi3Config, in rope_parameters: 4096
Phi3Config, beside rope_parameters: 512
EXPECTED
