"""What structures allow and refuse, and that hostile ones are refused or cost little."""

import json
import re
import time

import pytest

from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.constraint import StructureError
from engine.inference.constraints.structures import (
    ChoiceStructure,
    GrammarStructure,
    JsonStructure,
    RegexStructure,
    Structure,
)
from engine.tokenizers.bytes import ByteTokenizer

BYTES = ByteTokenizer()
STRUCTURES = CompiledStructures()
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}


def fits(structure: Structure, text: str) -> bool:
    """Whether the whole text may be an answer."""
    matcher = STRUCTURES.compiled(structure, BYTES).matcher()
    try:
        for token in BYTES.encode(text):
            matcher.consume(token)
    except StructureError:
        return False
    return any(matcher.allowed()[token] for token in BYTES.specials)


@pytest.mark.parametrize(
    ("structure", "good", "bad"),
    [
        (JsonStructure(POINT), ['{"x": 1}', '{"x": -1, "y": 2}'], ['{"x":1}', '{ "x": 1}', '{"y": 2}', "{}", "1"]),
        (JsonStructure(POINT), ['{"x": 1}'], ['{"x": 1, "z": 2}', '{"x": 1, "y": "a"}', '{"x": 1.5}']),
        (JsonStructure({**POINT, "additionalProperties": True}), ['{"x": 1, "z": 2}'], ["{}"]),
        (JsonStructure({"type": "object"}), ["{}", '{"a": [true, null, {"b": 1e5}]}'], ["[]", '{"a":  1}', "{\n}"]),
        (JsonStructure({"enum": ["a", 1, None]}), ['"a"', "1", "null"], ["a", "2"]),
        (JsonStructure({"$ref": "#/$defs/p", "$defs": {"p": POINT}}), ['{"x": 1}'], ['{"x": 1, "z": 2}']),
        (JsonStructure({"anyOf": [POINT, {"type": "null"}]}), ['{"x": 1}', "null"], ["1"]),
        (JsonStructure({"type": "string", "maxLength": 3}), ['"äöü"', '"日本👍"'], ['"abcd"']),
        (RegexStructure(r"\d{3}/[a-c]+"), ["123/abc"], ["12/a", "123/abcd", "x123/a"]),
        (ChoiceStructure(["yes", 'no "x"\n']), ["yes", 'no "x"\n'], ["no", "yesyes", "ye"]),
        (GrammarStructure('start: "a" NUMBER\nNUMBER: /[0-9]+/\n'), ["a12"], ["a", "12"]),
        (GrammarStructure('root ::= "yes" | "no" [!]+\n'), ["yes", "no!!"], ["no"]),
    ],
)
def test_what_fits(structure: Structure, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not fits(structure, text)] == []
    assert [text for text in bad if fits(structure, text)] == []


def nested(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def branching(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for level in range(levels):
        schema = {"anyOf": [schema, {"oneOf": [schema, {"type": "object", "properties": {f"k{level}": {}}}]}]}
    return schema


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        (JsonStructure({"not": {}}), "not"),
        (JsonStructure({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (JsonStructure({"properties": {"a": {"if": {}, "then": {}}}}), "if"),
        (JsonStructure({"not": {}, "x-guidance": {"lenient": True}}), "not"),
        (JsonStructure({"type": "frob"}), "frob"),
        (JsonStructure({"type": "string", "format": "nobody-knows"}), "nobody-knows"),
        (JsonStructure({"$ref": "https://example.org/schema"}), "example.org"),
        (JsonStructure({"$ref": "#/$defs/none"}), "none"),
        (JsonStructure({"type": "integer", "minimum": 3, "maximum": 2}), "minimum"),
        (JsonStructure({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "oneOf"),
        (JsonStructure([]), "object"),
        (JsonStructure(nested(70)), "64 levels"),
        (JsonStructure(branching(10)), "65536"),
        (JsonStructure({"type": "string", "pattern": "x" * 70_000}), "65536"),
        (JsonStructure({"type": "string", "pattern": "(?=a)b"}), "look-around"),
        (RegexStructure("(a"), "unclosed"),
        (RegexStructure(r"(a)\1"), "backreferences"),
        (RegexStructure("(" * 9000), "regex"),
        (RegexStructure(""), "empty"),
        (ChoiceStructure([""]), "empty"),
        (GrammarStructure("start: nobody"), "nobody"),
        (GrammarStructure("start: " + "(" * 3000), "nested"),
        (GrammarStructure("root ::= " + "(" * 3000), "recursion"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_by_name(structure: Structure, says: str) -> None:
    with pytest.raises(StructureError, match=re.escape(says)) as refused:
        STRUCTURES.compiled(structure, BYTES)
    assert len(str(refused.value)) < 600


HOSTILE = [
    RegexStructure("(a{1,1000}){1,1000}"),
    RegexStructure("(" + "a?" * 500 + ")" + "a" * 500),
    RegexStructure("(.*a.{50}|.*b.{60}){2}"),
    RegexStructure("(x+x+)+y"),
    RegexStructure("|".join(f".*{number}.*" for number in range(300))),
    JsonStructure({"type": "string", "pattern": "^(a|b|c|d){1,500}.*x.{200}$"}),
    JsonStructure({"enum": [f"v{number}" for number in range(5000)]}),
    JsonStructure({"properties": {f"k{n}": {"type": "string", "pattern": f"[a-z]{{{n}}}x.*y"} for n in range(800)}}),
    JsonStructure({"type": "array", "minItems": 100_000, "items": branching(5)}),
    JsonStructure(branching(6)),
    GrammarStructure('start: a*\na: b* c*\nb: a | "x"\nc: a | b | "y"\n'),
    GrammarStructure('start: start start | "x" start | "x"\n'),
]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_hostile_structures_are_refused_or_cost_little(place: int) -> None:
    """Processor time of this thread, so that others on this machine do not count. Seconds where there is no bound."""
    began = time.thread_time()
    try:
        matcher = STRUCTURES.compiled(HOSTILE[place], BYTES).matcher()
        for _ in range(40):
            token = next(number for number, allowed in enumerate(matcher.allowed()) if allowed)
            if token in BYTES.specials:
                break
            matcher.consume(token)
    except StructureError:
        pass  # it costs too much
    assert time.thread_time() - began < 4


def test_what_was_compiled_is_kept_within_bounds() -> None:
    structures = CompiledStructures()
    first = structures.compiled(JsonStructure(POINT), BYTES)
    assert structures.compiled(JsonStructure(json.loads(json.dumps(POINT))), BYTES) is first
    assert structures.compiled(JsonStructure(POINT), ByteTokenizer()) is first, "another version's tokenizer, the same"
    for number in range(40):
        structures.compiled(ChoiceStructure([str(number)]), BYTES)
    assert structures.compiled(JsonStructure(POINT), BYTES) is not first
