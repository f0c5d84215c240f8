#!/usr/bin/env bash
# llguidance 1.9.1: of two tokens with the same bytes, the mask allows one; the matcher consumes either.
#
# Vocabularies have such tokens: a SentencePiece model with byte fallback has the piece "a" and the byte <0x61>. For the
# regular expression "a", compute_bitmask allows the first of the two only, although consume_token takes both, so the
# mask and the parser that it comes from disagree on what may follow. Who samples under the mask never sees the second
# token, and its probability is lost; who tests a token against the mask calls an answer wrong that the matcher accepts.
#
# Seen on 2026-11-30 with Python 3.11:
#   1.9.1 allowed [1], consumed [1, 3]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/probe.py" <<'PYTHON'
from importlib.metadata import version

import llguidance


class Vocabulary:
    bos_token_id = None
    eos_token_id = 0
    special_token_ids = [0]
    tokens = [b"<end>", b"a", b"b", b"a"]

    def __call__(self, text):
        data = text.encode() if isinstance(text, str) else text
        return [self.tokens.index(bytes([byte])) for byte in data]


tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Vocabulary()), n_vocab=4, eos_token=0)


def matcher():
    return llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_regex("a"), log_level=0)


mask = matcher().compute_bitmask()
allowed = [token for token in range(4) if mask[token // 8] >> token % 8 & 1]
consumed = [token for token in range(4) if matcher().consume_token(token)]
print(f"{version('llguidance')} allowed {allowed}, consumed {consumed}")
PYTHON
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check llguidance==1.9.1
"$work/venv/bin/python" "$work/probe.py" | tee "$work/seen"
diff "$work/seen" - <<'EXPECTED'
1.9.1 allowed [1], consumed [1, 3]
EXPECTED
