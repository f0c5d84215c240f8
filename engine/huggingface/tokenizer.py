"""Tokenizers in Hugging Face's files: ``tokenizer.json``, ``tokenizer_config.json``, ``chat_template.jinja``."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import tokenizers
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine import disk
from engine.artifacts import ArtifactError
from engine.data.samples import Message
from engine.foreign_model import ForeignModelError
from engine.huggingface.model_config import AnyConfig
from engine.tokenizers import builtin, registry
from engine.tokenizers.base import BOS, END, EOS, FILE, PAD, SPECIAL_TOKENS, DialogueRefusedError, Tokenizer
from engine.tokenizers.huggingface import CHAT_FILE, ChatFormat, HuggingFaceTokenizer

CONFIG, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
T = TypeVar("T", bound=BaseModel)
_PROBE = (Message("user", "a"), Message("assistant", "b"))


class _Token(BaseModel):
    model_config = ConfigDict(extra="ignore")

    content: str


class _Named(BaseModel):
    name: str
    template: str


class _Config(BaseModel):
    """``tokenizer_config.json``, as far as it matters; ``special_tokens_map.json`` is a part of it."""

    model_config = ConfigDict(extra="ignore")

    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    unk_token: str | _Token | None = None
    add_bos_token: bool | None = None
    chat_template: str | list[_Named] | None = None


def read(folder: Path, config: AnyConfig, ends: Sequence[int]) -> Tokenizer:
    """The tokenizer of a model that is to be taken over; one that thord itself exported is its own again.

    ``ends`` are the ids that end an answer by what the model says besides.

    Raises:
        ForeignModelError: a file is missing or damaged, or there is no token that ends a text.
    """
    try:
        if config.thord is not None and config.thord.tokenizer != HuggingFaceTokenizer.kind:
            return registry.load(config.thord.tokenizer, folder)
        source = builtin.read_source(folder)
        settings = _read(folder / "special_tokens_map.json", _Config())
        settings = settings.model_copy(update=_read(folder / CONFIG, _Config()).model_dump(exclude_none=True))
        return _foreign(folder, config, source, _Config.model_validate(settings.model_dump()), ends)
    except ArtifactError as error:
        hint = "" if (folder / FILE).exists() else "; make it with transformers: AutoTokenizer, then save_pretrained"
        raise ForeignModelError(f"{error}{hint}") from error


def _foreign(folder: Path, config: AnyConfig, source: str, settings: _Config, said: Sequence[int]) -> Tokenizer:
    inner = tokenizers.Tokenizer.from_str(source)
    template = _template(folder, settings)
    tokens = max(_writable(inner, config.vocab_size, template or ""), default=-1) + 1
    if tokens > config.vocab_size:
        raise ForeignModelError(f"{folder / FILE}: {tokens} tokens, the model has {config.vocab_size} ids")
    names = {
        name: token if isinstance(token, str) else token.content
        for name in ("bos_token", "eos_token", "pad_token", "unk_token")
        if isinstance(token := getattr(settings, name), str | _Token)
    }
    ends = [number for number in said if 0 <= number < config.vocab_size]  # a default of GPT-2's may be left there
    eos = inner.token_to_id(names["eos_token"]) if "eos_token" in names else next(iter(ends), None)
    if eos is None:
        raise ForeignModelError(f"{folder / CONFIG}: there is no eos_token, so the model could never end a text")
    opening = _opening(inner)
    if settings.add_bos_token is not None:
        bos = inner.token_to_id(names["bos_token"]) if "bos_token" in names else None
        opening = (bos,) if settings.add_bos_token and bos is not None else ()
    pad = inner.token_to_id(names["pad_token"]) if "pad_token" in names else None
    form = ChatFormat(
        vocabulary=config.vocab_size,
        opening=opening,
        eos=eos,
        end=eos,
        ends=tuple(number for number in ends if number in inner.get_added_tokens_decoder()),  # not a default of Llama's
        pad=eos if pad is None else pad,
        template=template,
        tokens=names,
    )
    end = end_of_answer(HuggingFaceTokenizer(source, form), ends)
    return HuggingFaceTokenizer(source, form.model_copy(update={"end": end}))


def _writable(inner: tokenizers.Tokenizer, vocabulary: int, template: str) -> Iterator[int]:
    """Every id that a text or a dialogue can have.

    A special token beyond the model's vocabulary that its template does not name is in none: Gemma 3 has one for
    pictures, and models of texts alone have no embedding of it.
    """
    added = inner.get_added_tokens_decoder()
    for number in inner.get_vocab().values():
        if number < vocabulary or number not in added or not added[number].special or added[number].content in template:
            yield number


def _opening(inner: tokenizers.Tokenizer) -> tuple[int, ...]:
    """The special tokens that it puts before every text by itself; those it puts after a text do not matter."""
    encoding = inner.encode("a")
    before = itertools.takewhile(lambda token: token[1], zip(encoding.ids, encoding.special_tokens_mask, strict=True))
    return tuple(number for number, _ in before)


def end_of_answer(tokenizer: HuggingFaceTokenizer, ends: Sequence[int]) -> int:
    """What the chat template ends an answer with, else the first of ``ends``, else what ends a text."""
    (encoded,) = tokenizer.encode_dialogues([(_PROBE, 0)])
    if isinstance(encoded, DialogueRefusedError):
        return next(iter(ends), tokenizer.chat.eos)
    said = encoded.ids[encoded.supervised].tolist()
    return next((number for number in reversed(said) if number in tokenizer.specials), tokenizer.chat.eos)


def _template(folder: Path, settings: _Config) -> str | None:
    file = folder / TEMPLATE
    if file.exists():
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ForeignModelError(f"{file}: {error}") from error
    if isinstance(settings.chat_template, list):
        return next((entry.template for entry in settings.chat_template if entry.name == "default"), None)
    return settings.chat_template


def write(tokenizer: Tokenizer, folder: Path, context: int) -> dict[str, JsonValue]:
    """Write a tokenizer as `transformers` reads it; what ``config.json`` and ``generation_config.json`` say of it."""
    tokenizer.save(folder)
    config: dict[str, JsonValue] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    bos = next(iter(tokenizer.opening), None)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        named = {name: number for number, name in tokenizer.specials.items()}
        bos = named.get(tokenizer.chat.tokens.get("bos_token", ""), bos)  # it has one even if no text begins with it
        (folder / CHAT_FILE).unlink()  # thord's own
        config |= tokenizer.chat.tokens
    else:
        names = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
        others: list[JsonValue] = [token for token in SPECIAL_TOKENS if token not in names.values()]
        config |= {**names, "additional_special_tokens": others}
    if tokenizer.chat_template is not None:
        config["chat_template"] = tokenizer.chat_template
        (folder / TEMPLATE).write_text(tokenizer.chat_template, encoding="utf-8")
    disk.write_json(folder / CONFIG, config)
    ends: list[JsonValue] = [tokenizer.special(EOS)]
    if tokenizer.special(END) != tokenizer.special(EOS):
        ends.append(tokenizer.special(END))
    return {
        "bos_token_id": bos,
        "eos_token_id": ends,
        "pad_token_id": tokenizer.special(PAD),
    }


def _read(file: Path, default: T) -> T:
    try:
        return type(default).model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return default
    except (OSError, ValidationError) as error:
        raise ForeignModelError(f"{file}: {error}") from error
