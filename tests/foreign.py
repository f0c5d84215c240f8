"""Tokenizers as others publish theirs."""

import json

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from engine.tokenizers.huggingface import ChatFormat, HuggingFaceTokenizer

CHATML = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{% generation %}{{ ' ' + message['content'] + eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
)
WORDS = (json.__doc__ + (tokenizers.Tokenizer.__doc__ or "")).splitlines()


def spaced(specials: list[str]) -> tokenizers.Tokenizer:
    """As Llama 2: a space is put before the text, spaces are U+2581, what is unknown is spelled in bytes."""
    characters = sorted({character for line in WORDS for character in line} - {" "} | {"\u2581"})
    pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *characters, "\u2581t", "he", "\u2581the"]
    merges = [("\u2581", "t"), ("h", "e"), ("\u2581t", "he")]
    inner = tokenizers.Tokenizer(
        models.BPE({piece: n for n, piece in enumerate(pieces)}, merges, unk_token=specials[0], byte_fallback=True)
    )
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(parts)
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    inner.post_processor = processors.TemplateProcessing(
        single=f"{specials[1]} $A", special_tokens=[(specials[1], inner.token_to_id(specials[1]))]
    )
    return inner


GEMMA = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)


PHI3 = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def phi3_like() -> tokenizers.Tokenizer:
    """As Phi-3: special tokens take the white space that follows them."""
    inner = spaced(["<unk>", "<s>", "<|endoftext|>"])
    names = ["</s>", "<|end|>", "<|user|>", "<|assistant|>"]
    inner.add_special_tokens([AddedToken(name, special=True, normalized=False, rstrip=True) for name in names])
    return inner


def gemma_like() -> tokenizers.Tokenizer:
    """As Gemma: no space before a text, and added tokens for runs of spaces and line ends; one of pictures is last."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    inner = spaced(specials)
    pieces = json.loads(inner.to_str())["model"]["vocab"]
    for piece in ("\n\n", "\u2581\u2581"):
        pieces[piece] = len(pieces)
    merges = [("\u2581", "\u2581"), ("\u2581", "t"), ("h", "e"), ("\u2581t", "he")]
    inner = tokenizers.Tokenizer(models.BPE(pieces, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.normalizer = normalizers.Replace(" ", "\u2581")
    inner.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    inner.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    inner.add_tokens([AddedToken(piece, normalized=False) for piece in ("\n\n", "\u2581\u2581")])
    inner.add_special_tokens([AddedToken("<image_soft_token>", special=True, normalized=False)])
    inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return inner


def made(
    inner: tokenizers.Tokenizer, template: str, eos: str, end: str, bos: str | None = None
) -> tuple[HuggingFaceTokenizer, PreTrainedTokenizerFast]:
    """A tokenizer of thord's and the same one of transformers, which end texts and answers as told."""
    number = inner.token_to_id
    tokens = {"eos_token": eos} | ({"bos_token": bos} if bos else {})
    opening = (number(bos),) if bos else ()
    form = ChatFormat(
        vocabulary=inner.get_vocab_size() + 5,
        opening=opening,
        eos=number(eos),
        end=number(end),
        pad=number(eos),
        template=template,
        tokens=tokens,
    )
    theirs = PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template, **tokens)
    return HuggingFaceTokenizer(inner.to_str(), form), theirs


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 300 pieces, which writes dialogues as ChatML."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|endoftext|>", pad_token="<|endoftext|>", chat_template=CHATML
    )
