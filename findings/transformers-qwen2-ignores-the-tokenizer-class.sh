#!/usr/bin/env bash
# transformers 5.24.0: beside a config of type qwen2, AutoTokenizer rebuilds any tokenizer as Qwen's own.
#
# A byte-level BPE whose pieces may cross from letters into digits is saved by transformers itself, with save_pretrained
# of PreTrainedTokenizerFast. AutoTokenizer loads it again with the same ids, until a config.json of type qwen2 stands
# beside it, as save_pretrained of such a model writes one: then it makes a Qwen2Tokenizer, whose own normalizer and
# pre-tokenizer take the place of those in tokenizer.json, and texts get other ids without a word. tokenizer_class in
# tokenizer_config.json has no influence. With type llama, and in transformers 4.57.6, the ids are the same.
# The cause is in the open: qwen2 is in the list MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS of tokenization_auto.py. The
# comment on that list says that its models are made to use TokenizersBackend, which would keep the ids; they are not.
#
# Seen on 2026-11-30 with Python 3.11:
#   4.57.6 llama same ids
#   4.57.6 qwen2 same ids
#   5.24.0 llama same ids
#   5.24.0 qwen2 other ids (Qwen2Tokenizer)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/probe.py" <<'PYTHON'
import json, pathlib, transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

text = "ab12 ab12"
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
merges = [("a", "b"), ("1", "2"), ("ab", "12")]
pieces = [*letters, *("".join(merge) for merge in merges), "<end>"]
inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, merges))
inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
inner.decoder = decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
saved = pathlib.Path("saved")
tokenizer.save_pretrained(saved)
for kind in ("llama", "qwen2"):
    (saved / "config.json").write_text(json.dumps({"model_type": kind}))
    again = AutoTokenizer.from_pretrained(saved)
    same = again(text)["input_ids"] == tokenizer(text)["input_ids"]
    print(transformers.__version__, kind, "same ids" if same else f"other ids ({type(again).__name__})")
PYTHON
for version in 4.57.6 5.24.0; do
  python3 -m venv "$work/$version"
  "$work/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version" "jinja2>=3.1"
  mkdir "$work/$version/files"
  (cd "$work/$version/files" && "$work/$version/bin/python" "$work/probe.py" 2> /dev/null) | tee -a "$work/seen"
done
diff "$work/seen" - <<'EXPECTED'
4.57.6 llama same ids
4.57.6 qwen2 same ids
5.24.0 llama same ids
5.24.0 qwen2 other ids (Qwen2Tokenizer)
EXPECTED
