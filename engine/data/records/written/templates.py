"""Dialogues written out in the template of a model: ChatML, Llama 2 and 3, Mistral, Gemma, Zephyr, Alpaca, Vicuna.

The markers are no words to learn. A text is taken for a written-out dialogue where it begins with a marker of a
template, or with one sentence or system text before it, and somebody answers in it.

| template | marker of a turn                                   |
|----------|----------------------------------------------------|
| ChatML   | ``<|im_start|>role`` … ``<|im_end|>``              |
| Llama 3  | ``<|start_header_id|>role<|end_header_id|>`` … ``<|eot_id|>`` |
| Llama 2  | ``[INST]`` question ``[/INST]`` answer             |
| Gemma    | ``<start_of_turn>role`` … ``<end_of_turn>``        |
| Zephyr   | ``<|user|>``, ``<|assistant|>`` … ``</s>``         |
| Alpaca   | ``### Instruction:``, ``### Input:``, ``### Response:`` |
| Guanaco  | ``### Human:``, ``### Assistant:``                 |
| OIG      | ``<human>:``, ``<bot>:``                           |
| OpenChat | ``GPT4 Correct User:`` … ``<|end_of_turn|>``       |
| InternLM | ``<|User|>:`` … ``<eoh>``, ``<|Bot|>:`` … ``<eoa>`` |
"""

import re
from dataclasses import dataclass

from engine.data.records.dialogue import Turn
from engine.data.records.roles import is_role, role_of


@dataclass(frozen=True, slots=True)
class _Template:
    """A template: the marker before a turn, with the role in its first group, and what ends a turn."""

    marker: re.Pattern[str]
    ends: re.Pattern[str]


_EDGES = re.compile(
    r"<\|?(?:begin_of_text|endoftext|end_of_text|bos|eos|s|/s|BOS_TOKEN|EOS_TOKEN|im_sep|return|startoftext)\|?>"
    r"|<\uff5c(?:begin▁of▁sentence|end▁of▁sentence)\uff5c>|\[/?SYSTEM_PROMPT\]|\[gMASK\]|<sop>"
)
_DEEPSEEK = _Template(re.compile(r"<\uff5c(User|Assistant)\uff5c>"), re.compile(r"(?!)"))
_TEMPLATES = (
    _Template(
        re.compile(r"<\|start\|>(\w+)(?:<\|channel\|>\w+)?<\|message\|>"), re.compile(r"<\|(?:end|return|call)\|>")
    ),
    _Template(re.compile(r"<\|im_start\|>\s*(\w+)[ \t]*\n?"), re.compile(r"<\|im_end\|>")),
    _Template(
        re.compile(r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>"), re.compile(r"<\|(?:eot_id|eom_id)\|>")
    ),
    _Template(re.compile(r"<start_of_turn>\s*(\w+)[ \t]*\n?"), re.compile(r"<end_of_turn>")),
    _Template(re.compile(r"<\|header_start\|>\s*(\w+)\s*<\|header_end\|>"), re.compile(r"<\|(?:eot|eom)\|>")),
    _Template(re.compile(r"<\|start_of_role\|>\s*(\w+)\s*<\|end_of_role\|>"), re.compile(r"<\|end_of_text\|>")),
    _Template(re.compile(r"<\|START_OF_TURN_TOKEN\|><\|(\w+)_TOKEN\|>"), re.compile(r"<\|END_OF_TURN_TOKEN\|>")),
    _DEEPSEEK,
    _Template(
        re.compile(r"(?:GPT4 Correct|GPT4|Code|Math Correct) (System|User|Assistant):[ \t]*"),
        re.compile(r"<\|end_of_turn\|>"),
    ),
    _Template(re.compile(r"<\|(System|User|Bot)\|>:[ \t]*"), re.compile(r"<eo(?:h|a|sys)>")),
    _Template(
        re.compile(r"<\|(system|user|assistant|model|bot|human|prompter|observation)\|>", re.IGNORECASE),
        re.compile(r"</s>|<\|end\|>|<\|endoftext\|>"),
    ),
    _Template(re.compile(r"(?:^|(?<=\s))<(human|bot|user|assistant|system)>:[ \t]*"), re.compile(r"(?!)")),
    _Template(
        re.compile(r"(?:^|(?<=\s)|(?<=[.?!…])|(?=### ?(?:Human|Assistant):))###[ \t]*(\w+)[ \t]*:[ \t]*\n?"),
        re.compile(r"(?!)"),
    ),
)
_ANOTHER = re.compile(r"<\|(?:endoftext|begin_of_text)\|>|<bos>")
_PREFACED = re.compile(r"(?=Below is an instruction that describes)")
_PARTED = re.compile(r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>")
"""In these templates the borders of texts part dialogues; in others they end each turn."""
_THOUGHTS = re.compile(r"<\|start\|>assistant<\|channel\|>analysis<\|message\|>.*?<\|end\|>", re.DOTALL)
_VICUNA_PREFACE = re.compile(
    r"\s*(A chat between a curious (?:user|human) and an artificial[^\n]{0,300}?)\s+(?=USER:)|(?=USER: .*\S ASSISTANT:)"
)
_VICUNA = _Template(re.compile(r"(?:^|(?<=\s)|(?<=</s>))(USER|ASSISTANT):"), re.compile(r"</s>"))
_CUT_MARKS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<|end|>", "<|endoftext|>", "<|end_of_text|>")
_INSTRUCTIONS = {"instruction": "user", "input": "input", "response": "assistant", "output": "assistant"}
_SYSTEM_PROMPT = re.compile(r"\[SYSTEM_PROMPT\](.*?)\[/SYSTEM_PROMPT\]", re.DOTALL)
_OTHER = (
    r"(?:<\|(?!endoftext|end_of_text|startoftext)[A-Za-z][\w ]{1,30}\|>|<\uff5c(?!end)[^\uff5c<>\n]{2,30}\uff5c>"
    r"|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<(?:start|end)_of_turn>|<reserved_\d{1,4}>|<eo[ha]>)"
)
"""Marks of turns; the borders of texts are none, since any text may have them."""
_LONGEST_MARK = 64
_OTHER_MARK = re.compile(rf"\s*(?:<s>|<bos>)?\s*{_OTHER}")
_OTHER_END = re.compile(rf"{_OTHER}(?:</s>)?\s*\Z")
_ALPACA_PREFACE = re.compile(r"Below is an instruction\b[^\n]*")


def asked_in(text: str) -> list[Turn] | None:
    """The turns of a prompt in the template of a model, up to where the answer begins; none where it is not one."""
    turns = turns_in(text) or []
    return turns if any(turn.role == "user" for turn in turns) else None


def answer_in(text: str) -> str:
    """An answer without the mark of the assistant before it; a heading (``### Output:``) is a part of an answer."""
    turns = (turns_in(text) or []) if text.lstrip().startswith("<") else []
    return turns[0].content if len(turns) == 1 and turns[0].role == "assistant" else text


def has_unknown_template(text: str) -> bool:
    """Whether a text begins or ends like a dialogue in a template, and `turns_in` finds none in it."""
    return _OTHER_MARK.match(text) is not None or _OTHER_END.search(text[-_LONGEST_MARK:]) is not None


def without_edges(text: str) -> str:
    """A text without what marks where a text begins and ends."""
    return _EDGES.sub("", text).strip()


def is_written_out(text: str) -> bool:
    """Whether a text is a dialogue in the template of a model."""
    turns = turns_in(text)
    return turns is not None and any(turn.role in ("user", "assistant") for turn in turns)


def dialogues_in(text: str) -> list[list[Turn]]:
    """The turns of each dialogue in a text: where another text or instructions begin, another dialogue begins."""
    texts = _ANOTHER.split(text) if _PARTED.search(text) else _PREFACED.split(text)
    found: list[list[Turn]] = []
    for turns in (turns_in(each) or [] for each in texts if each.strip()):
        found.append([])
        for turn in turns:
            if turn.role == "system" and any(before.role == "assistant" for before in found[-1]):
                found.append([])
            found[-1].append(turn)
    return [turns for turns in found if turns]


def turns_in(text: str) -> list[Turn] | None:
    """The turns of a dialogue in the template of a model, not yet cleaned; none where the text is not one."""
    if not any(sign in text for sign in ("<", "###", "[INST]", "A chat between a curious", "USER: ")):
        return None
    text = _THOUGHTS.sub("", text)
    if preface := _VICUNA_PREFACE.match(text):
        turns = _marked(text[preface.end() :], _VICUNA)
        return [Turn("system", preface[1] or ""), *turns] if turns else None
    if "[INST]" in text and "[/INST]" in text:
        return _llama_2(text)
    for template in _TEMPLATES:
        first = template.marker.search(text)
        if first and _is_speaker(first[1]) and _may_precede(text[: first.start()]):
            return _marked(text, template)
        if template is _DEEPSEEK and first:
            return [Turn("system", without_edges(text[: first.start()])), *_marked(text, template)]
    return None


def _is_speaker(name: str) -> bool:
    return is_role(name) or name.lower() in _INSTRUCTIONS


def _may_precede(text: str) -> bool:
    """Whether what stands before the first marker can belong to the template: its edges, or Alpaca's preface."""
    return not _ALPACA_PREFACE.sub("", _EDGES.sub("", text)).strip()


def _marked(text: str, template: _Template) -> list[Turn]:
    markers = [match for match in template.marker.finditer(text) if _is_speaker(match[1])]
    turns: list[Turn] = []
    inputs: list[str] = []
    for marker, after in zip(markers, [*markers[1:], None], strict=True):
        said = text[marker.end() : after.start() if after else len(text)]
        said = _EDGES.sub("", template.ends.sub("", said)).strip()
        name = _INSTRUCTIONS.get(marker[1].lower(), marker[1])
        if name == "input" and turns and turns[-1].role == "user":
            inputs.append(said)
            continue
        if inputs:
            turns[-1] = _with_inputs(turns[-1], inputs)
            inputs = []
        role = "user" if name == "input" else role_of(name, len(turns) + 1)
        turns.append(Turn(role, said if after else _without_cut_end(said)))
    return [*turns[:-1], _with_inputs(turns[-1], inputs)] if inputs else turns


def _without_cut_end(said: str) -> str:
    """What was said without the beginning of a mark, where a text was cut off in it."""
    for mark in _CUT_MARKS:
        for length in range(len(mark) - 1, 1, -1):
            if said.endswith(mark[:length]):
                return said[:-length].rstrip()
    return said


def _with_inputs(asked: Turn, inputs: list[str]) -> Turn:
    """An instruction with what it is about."""
    return asked._replace(content="\n\n".join([asked.content, *inputs]).strip())


def _llama_2(text: str) -> list[Turn] | None:
    before, *exchanges = text.split("[INST]")
    prompt = _SYSTEM_PROMPT.search(before)
    if not _may_precede(_SYSTEM_PROMPT.sub("", before)):
        return None
    turns = [Turn("system", prompt[1].strip())] if prompt else []
    for exchange in exchanges:
        asked, _, answered = exchange.partition("[/INST]")
        if asked.lstrip().startswith("<<SYS>>"):
            system, _, asked = asked.lstrip().removeprefix("<<SYS>>").partition("<</SYS>>")
            turns.append(Turn("system", system.strip()))
        turns += [Turn("user", asked.strip()), Turn("assistant", _EDGES.sub("", answered).strip())]
    return turns
