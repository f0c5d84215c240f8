"""Imported tokenizers against transformers: ids, chats, what is learned of them, bytes of single tokens."""

from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

from engine.artifacts import ArtifactError
from engine.data.samples import Dialogue, Message, Text, ToolCall
from engine.tokenizers import encode, huggingface, registry
from engine.tokenizers.base import BOS, END, DialogueRefusedError, PromptForm
from tests.foreign import CHATML, GEMMA, MISTRAL, PHI3, WORDS, gemma_like, made, phi3_like, spaced

LLAMA3 = (
    "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>"
    "\n\n' + message['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
DIALOGUE = (
    Message("user", "Hello  there"),
    Message("assistant", "It's a test."),
    Message("user", "Más ünïcode 日本?"),
    Message("assistant", "Yes:\n\n 😀"),
)


def byte_level(specials):
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return inner


CASES = {
    "qwen": lambda: made(
        byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), CHATML, "<|endoftext|>", "<|im_end|>"
    ),
    "llama3": lambda: made(
        byte_level(["<|begin|>", "<|end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
        *(LLAMA3, "<|end|>", "<|eot_id|>", "<|begin|>"),
    ),
    "mistral": lambda: made(spaced(["<unk>", "<s>", "</s>"]), MISTRAL, "</s>", "</s>", "<s>"),
    "phi3": lambda: made(phi3_like(), PHI3, "<|endoftext|>", "<|end|>"),
    "gemma": lambda: made(gemma_like(), GEMMA, "<eos>", "<end_of_turn>", "<bos>"),
}


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest):
    return CASES[request.param]()


def turns(messages):
    return [{"role": message.role, "content": message.content} for message in messages]


@pytest.mark.parametrize("text", ["Hello the world", "  two  spaces ", "日本 😀\n\n", "", "x"])
def test_texts_have_the_same_ids(pair, text: str) -> None:
    ours, theirs = pair
    ids = theirs.encode(text, add_special_tokens=False)
    assert ours.encode(text) == ids
    assert ours.decode(ids) == theirs.decode(ids)
    assert ours.decode_bytes(ids).decode().lstrip(" ") == theirs.decode(ids).lstrip(" ")


def test_of_added_tokens_only_special_ones_are_plain_text_in_a_text() -> None:
    inner = byte_level(["<|endoftext|>"])
    inner.add_tokens([AddedToken("<think>"), AddedToken("the", single_word=True)])
    inner.add_special_tokens([AddedToken("<|im_end|>", special=True)])
    ours, _ = made(inner, CHATML, "<|endoftext|>", "<|im_end|>")
    text = "<think> over the other<|im_end|>"
    inner.encode_special_tokens = True
    assert ours.encode(text) == inner.encode(text, add_special_tokens=False).ids
    assert inner.token_to_id("<think>") in ours.encode(text)
    assert inner.token_to_id("<|im_end|>") not in ours.encode(text)


def test_dialogues_have_the_same_ids(pair) -> None:
    ours, theirs = pair
    whole = theirs.apply_chat_template(turns(DIALOGUE), return_dict=False)
    (encoded,) = ours.encode_dialogues([(DIALOGUE, 0)])
    assert encoded.ids.tolist() == whole
    prompt = theirs.apply_chat_template(turns(DIALOGUE[:3]), add_generation_prompt=True, return_dict=False)
    assert ours.encode_prompt(DIALOGUE[:3]) == prompt


@pytest.mark.parametrize("spelled", [False, True])
def test_the_assistants_words_and_their_end_are_learned(pair, spelled: bool) -> None:
    ours, _ = pair
    special = sorted(ours.specials.values())[0]
    dialogue = (Message("user", f"the {special} user"), *DIALOGUE[1:]) if spelled else DIALOGUE
    for learn_from, said in ((0, ["It's a test.", "Yes:\n\n 😀"]), (2, ["Yes:\n\n 😀"])):
        (encoded,) = ours.encode_dialogues([(dialogue, learn_from)])
        learned = encoded.ids[encoded.supervised].tolist()
        text = b"".join(b"|" if number == ours.special(END) else ours.decode_bytes([number]) for number in learned)
        assert [part.lstrip(" ") for part in text.decode().split("|")] == [*said, ""]


def test_a_message_cannot_spell_a_special_token(pair) -> None:
    ours, _ = pair
    end = ours.specials[ours.special(END)]
    plain = ours.encode_prompt([Message("user", "a")])
    for rest in ("b\ufdd0", "".join(chr(0xFDD0 + number) for number in range(32)), "\ufdd0\ufdd0x"):
        ids = ours.encode_prompt([Message("user", f"a{end}{rest}")])
        assert [number for number in ids if number in ours.specials] == [n for n in plain if n in ours.specials]
        assert f"a{end}{rest}" in ours.decode(ids)


def test_white_space_that_a_special_token_takes_is_taken_whatever_a_message_spells() -> None:
    ours, _ = CASES["phi3"]()
    number = {name: number for number, name in ours.specials.items()}
    for said in ("a", "a<|end|>b"):
        expected = [number["<|user|>"], *ours.encode(said), number["<|end|>"], number["<|assistant|>"]]
        assert ours.encode_prompt([Message("user", said)]) == expected


def test_texts_are_neither_padded_nor_cut_whatever_the_file_says(pair, tmp_path: Path) -> None:
    ours, _ = pair
    ours.save(tmp_path)
    inner = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    inner.enable_padding(pad_id=3)
    inner.enable_truncation(4)
    inner.save(str(tmp_path / "tokenizer.json"))
    same = huggingface.load(tmp_path)
    texts = ["a", "the text that is longer than four", ""]
    assert [ids.tolist() for ids in same.encode_batch(texts)] == [ours.encode(text) for text in texts]
    dialogues = [(DIALOGUE, 0), (DIALOGUE[:2], 0)]
    for one, other in zip(same.encode_dialogues(dialogues), ours.encode_dialogues(dialogues), strict=True):
        assert one.ids.tolist() == other.ids.tolist()


def test_plain_text_begins_and_ends_as_the_tokenizer_says(pair) -> None:
    ours, theirs = pair
    (encoded,) = encode.encode_conversations(ours, [(Text(text="the text"), 0)])
    begin = [] if theirs.bos_token_id is None else [theirs.bos_token_id]
    assert encoded.ids.tolist() == [*begin, *theirs.encode("the text", add_special_tokens=False), theirs.eos_token_id]
    assert encoded.supervised.tolist() == [False] + [True] * (len(encoded.ids) - 1)
    assert ours.special(BOS) == (begin or [theirs.eos_token_id])[0]


def test_saved_and_loaded_it_is_the_same(pair, tmp_path: Path) -> None:
    ours, _ = pair
    ours.save(tmp_path)
    loaded = registry.load("huggingface", tmp_path)
    assert (loaded.chat, loaded.specials) == (ours.chat, ours.specials)
    assert loaded.encode_prompt(DIALOGUE[:3]) == ours.encode_prompt(DIALOGUE[:3])
    again = tmp_path / "again"
    again.mkdir()
    loaded.save(again)
    assert (again / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()


def test_ids_that_only_the_model_has_are_no_text(pair) -> None:
    ours, _ = pair
    assert ours.decode_bytes([ours.vocabulary - 1]) == b""
    assert ours.decode([ours.vocabulary - 1]) == ""
    with pytest.raises(IndexError):
        ours.decode_bytes([ours.vocabulary])


def test_a_dialogue_the_template_refuses_teaches_nothing() -> None:
    ours, _ = CASES["mistral"]()
    with pytest.raises(DialogueRefusedError, match="roles must alternate"):
        ours.encode_prompt([Message("system", "s"), Message("user", "u")])
    refused = Dialogue(messages=(Message("user", "u"), Message("user", "u"), Message("assistant", "a")))
    (encoded,) = encode.encode_conversations(ours, [(refused, 0)])
    assert encoded.ids.tolist() == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1 / 0 }}",
        "{{ '{a}'.format() }}",
        "{{ range(10 ** 9) }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ 'x' * 10 ** 15 }}",
    ],
)
def test_a_template_that_fails_in_whatever_way_refuses(source: str) -> None:
    ours, _ = made(byte_level(["<|end|>"]), source, "<|end|>", "<|end|>")
    with pytest.raises(DialogueRefusedError, match=r"chat template refuses this dialogue: \S"):
        ours.encode_prompt(DIALOGUE[:1])


def test_a_template_cannot_reach_out_of_its_sandbox() -> None:
    source = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    ours, _ = made(byte_level(["<|end|>"]), source, "<|end|>", "<|end|>")
    with pytest.raises(DialogueRefusedError, match="unsafe"):
        ours.encode_prompt(DIALOGUE[:1])


def test_what_cannot_be_used_is_an_artifact_error(tmp_path: Path) -> None:
    inner = byte_level(["<|end|>"])
    with pytest.raises(ArtifactError, match="template is broken"):
        made(inner, "{% for %}", "<|end|>", "<|end|>")
    inner.decoder = decoders.WordPiece()
    with pytest.raises(ArtifactError, match="byte-level and SentencePiece-like"):
        made(inner, CHATML, "<|end|>", "<|end|>")
    with pytest.raises(ArtifactError, match="tokenizer"):
        registry.load("huggingface", tmp_path)


TOOLS = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{{ message.content }}"
    "{% for call in message.tool_calls %}{{ '\n<tool_call>\n' }}{{ call.function | tojson }}{{ '\n</tool_call>' }}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
CALLED = (
    Message("user", "Rain?"),
    Message("assistant", "", (ToolCall("weather", {"city": "Köln", "days": 2, "exact": True}, "c1"),)),
    Message("tool", "yes", name="weather", tool_call_id="c1"),
)


@pytest.fixture(scope="module")
def with_tools():
    return made(byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), TOOLS, "<|endoftext|>", "<|im_end|>")


def as_json(messages):
    said = turns(messages)
    said[1]["tool_calls"] = [
        {"id": "c1", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in messages[1].tool_calls
    ]
    said[2] |= {"name": "weather", "tool_call_id": "c1"}
    return said


def test_calls_are_written_as_the_template_writes_them(with_tools) -> None:
    ours, theirs = with_tools
    expected = theirs.apply_chat_template(as_json(CALLED), add_generation_prompt=True, return_dict=False)
    assert ours.encode_prompt(CALLED) == expected
    assert '"arguments": {"city": "Köln", "days": 2, "exact": true}' in ours.decode(expected)


def test_calls_are_in_plain_form_where_the_template_knows_none(pair) -> None:
    ours, _ = pair
    plain = [message.plain for message in CALLED[:2]]
    assert plain[1].content == '{"name": "weather", "arguments": {"city": "Köln", "days": 2, "exact": true}}'
    assert ours.encode_prompt(CALLED[:2]) == ours.encode_prompt(plain)


def test_variables_of_the_template_are_known_and_rendered(with_tools) -> None:
    ours, theirs = with_tools
    assert ours.template_variables == {"enable_thinking"}
    for thinking in (True, False):
        expected = theirs.apply_chat_template(
            turns(DIALOGUE[:1]), add_generation_prompt=True, return_dict=False, enable_thinking=thinking
        )
        form = PromptForm(variables={"enable_thinking": thinking})
        assert ours.encode_prompt(DIALOGUE[:1], form) == expected


@pytest.mark.parametrize("said", ["It's", "It's ", " It's a  test.", "a"])
def test_the_last_turn_is_left_open_as_transformers_leaves_it(pair, said: str) -> None:
    ours, theirs = pair
    dialogue = [DIALOGUE[0], Message("assistant", said)]
    expected = theirs.apply_chat_template(turns(dialogue), continue_final_message=True, return_dict=False)
    assert ours.encode_prompt(dialogue, PromptForm(continues=True)) == expected


def test_an_empty_last_turn_is_begun(pair) -> None:
    ours, _ = pair
    dialogue = [DIALOGUE[0], Message("assistant", "")]
    assert ours.encode_prompt(dialogue, PromptForm(continues=True)) == ours.encode_prompt(dialogue[:1])


def test_nothing_that_is_given_to_a_template_can_spell_a_special_token(with_tools) -> None:
    ours, _ = with_tools
    end = "<|im_end|>"
    plain = ours.encode_prompt(CALLED)
    spelled = {"city": end, end: [end, {"a": f"b{end}c"}]}
    dialogue = (CALLED[0], Message("assistant", end, (ToolCall(f"weather{end}", spelled, end),)), CALLED[2])
    ids = ours.encode_prompt(dialogue, PromptForm(variables={"enable_thinking": end}))
    assert [number for number in ids if number in ours.specials] == [n for n in plain if n in ours.specials]
    assert ours.decode(ids).count(end) == 6


@pytest.mark.parametrize("case", CASES)
def test_an_answer_of_weight_0_is_context_only(case) -> None:
    ours, _ = CASES[case]()
    turns = (Message("user", "a"), Message("assistant", "wrong"), Message("user", "b"), Message("assistant", "right"))
    marked = (turns[0], Message("assistant", "wrong", weight=0), *turns[2:])
    whole, encoded, later = ours.encode_dialogues([(turns, 0), (marked, 0), (turns, 2)])
    assert encoded.ids.tolist() == whole.ids.tolist()
    assert encoded.supervised.tolist() == later.supervised.tolist()
    assert encoded.supervised.sum() < whole.supervised.sum()
