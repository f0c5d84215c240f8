"""How llama.cpp cuts texts into words before byte-level BPE: its pre-types, and what cuts alike in ``tokenizers``.

A pre-type is here only if words come out the same; the names that share a way of cutting differ elsewhere in
llama.cpp (whether texts begin with BOS, whether whole words are looked up first).
"""

from dataclasses import dataclass

from tokenizers import Regex, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, slots=True)
class PreType:
    """A way of cutting.

    Attributes:
        names: what llama.cpp calls it, the most usual one first.
        pattern: what a word is; empty for GPT-2's.
        single_digits: whether each digit stands for itself, whatever the pattern says.
        whole_words: whether a word that is a token is that token, whatever the merges say.
        begins_with_bos: whether texts do where a file does not say.
    """

    names: tuple[str, ...]
    pattern: str = ""
    single_digits: bool = False
    whole_words: bool = False
    begins_with_bos: bool = False

    def pre_tokenizer(self) -> PreTokenizer:
        """The pre-tokenizer of ``tokenizers`` that splits alike."""
        by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not self.pattern)
        if self.pattern:
            return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(self.pattern), "isolated"), by_bytes])
        if self.single_digits:
            return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), by_bytes])
        return by_bytes


PRE_TYPES = (
    PreType(("gpt-2", "phi-2", "gigachat", "mpt", "olmo", "jais", "exaone4", "trillion", "granite-docling", "a.x-4.0")),
    PreType(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"),
        single_digits=True,
    ),
    PreType(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
        pattern=rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",
        whole_words=True,
        begins_with_bos=True,
    ),
    PreType(("dbrx", "smaug-bpe"), pattern=rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"),
    PreType(
        ("qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "solar-open", "kormo", "f2llmv2"),
        pattern=rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_REST}",
    ),
)
BY_NAME = {name: kind for kind in PRE_TYPES for name in kind.names}
