"""The lines of a transcript that name who speaks, in the ways in which people and programs write them.

User: text         **User:** text       [User]: text        User> text         10:02 User: text
## User            **User**             - **User**: text    > User: text       User (10:02): text
User (alone)    You said        ChatGPT said:
"""

import re
from dataclasses import dataclass

from engine.data.records.roles import FOREIGN
from engine.data.samples import Role

_NAME = r"([^\W\d_][\w.+'\u2019/-]{0,24}(?: [\w.+'\u2019/-]{1,16}){0,3})"
_BEFORE = (
    r"(?:>{1,2}[ \t]+|[-•][ \t]+)?"
    r"(?:\[\d[^\]\n]{3,30}\][ \t]+|\(?\d{1,2}:\d\d(?::\d\d)?(?:[ \t]?[AaPp][Mm])?\)?[ \t]+(?:-[ \t]+)?)?"
)
_MARK = r"(\*\*|__|\*|_|<b>)?"
_SYMBOL = r"(?:[^\x00-\x7f\w\s]+[ \t]?)?"
_AFTER = r"(?:[ \t]?[(\[][^()\[\]\n]{1,30}[)\]])?"
_ENDS = r"(?:\*\*|__|\*|_|</b>)?"
_COLON = r"(?::(?=[ \t]|$|\*\*|__|\*|_|</b>)|[\uff1a]|(?:(?<=[QA])|(?<=[QA]\d)|(?<=[QA]\d\d))[.)](?=[ \t]))"

_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("heading", re.compile(rf"(#{{1,6}}|\*{{1,3}})[ \t]+{_ENDS}{_SYMBOL}{_NAME}{_AFTER}{_ENDS}[ \t]*:?{_ENDS}[ \t]*$")),
    (
        "colon",
        re.compile(rf"{_BEFORE}(?:#{{1,6}}[ \t]*)?{_MARK}{_SYMBOL}{_NAME}{_AFTER}{_ENDS}[ \t]?{_COLON}{_ENDS}[ \t]*"),
    ),
    ("alone", re.compile(rf"(\*\*|__){_SYMBOL}{_NAME}{_AFTER}(?:\*\*|__)[ \t]*$")),
    (
        "word",
        re.compile(
            r"()((?i:you|user|human|assistant|chatgpt|copilot|gemini|bard|claude|deepseek|grok|perplexity"
            r"|gpt-[\w.]{1,8}))[ \t]*$"
        ),
    ),
    ("said", re.compile(r"()(You said|[A-Z][\w.-]{0,24}(?: [\w.-]{1,16}){0,2} (?:said|responded))[ \t]*:?[ \t]*$")),
    ("brackets", re.compile(rf"([\[(]){_NAME}[\])]:?(?:[ \t]+|$)")),
    ("rules", re.compile(rf"([=*-]{{2,}})[ \t]*{_NAME}[ \t]*[=*-]{{2,}}$")),
    ("dash", re.compile(rf"(){_NAME}[ \t]+[-\u2013\u2014][ \t]+")),
    ("prompt", re.compile(rf"(){_NAME}>[ \t]+")),
)

_PAGES = (
    ("you said", "chatgpt said"),
    ("du hast gesagt", "chatgpt hat gesagt"),
    ("vous avez dit", "chatgpt a dit"),
    ("dijiste", "chatgpt dijo"),
    ("você disse", "chatgpt disse"),
    ("hai detto", "chatgpt ha detto"),
)
"""How ChatGPT's page begins a turn of the user and of itself, in some languages."""
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("human", "user", "customer", "client", "visitor", "human message"), "user"),
    **dict.fromkeys(("assistant", "ai", "bot", "chatbot", "ai message", "copilot said", "gemini said"), "assistant"),
    **dict.fromkeys(
        ("agent", "support", "operator", "ai assistant", "support agent", "virtual assistant"), "assistant"
    ),
    **dict.fromkeys((asked for asked, _ in _PAGES), "user"),
    **dict.fromkeys((answered for _, answered in _PAGES), "assistant"),
    **{name: role for name, role in FOREIGN.items() if role != "user"},
    **dict.fromkeys(("system", "system message"), "system"),
    **dict.fromkeys(("tool", "tool message"), "tool"),
}
_MODEL = re.compile(
    r"(?:chat ?)?gpt\b|claude\b|gemini\b|(?:ms |microsoft |github )?copilot\b|bard\b|bing\b|llama\b|mi[sx]tral\b|qwen\b"
    r"|deepseek\b|grok\b|cursor\b|windsurf\b|le chat\b|gemma\b|phi\b|perplexity\b|llama[\d.]|qwen[\d.]|gemma[\d.]"
)
_PAIRS = (
    *(("prompt", "response"), ("question", "answer"), ("prompt", "completion"), ("instruction", "response")),
    *(("frage", "antwort"), ("pregunta", "respuesta"), ("pergunta", "resposta"), ("domanda", "risposta")),
    *(("instruct", "output"), ("q", "a")),
    *(("vraag", "antwoord"), ("вопрос", "ответ"), ("问", "答"), ("問", "答")),
)
_WEAK: dict[str, tuple[Role, frozenset[str]]] = {
    "you": ("user", frozenset()),
    "me": ("user", frozenset()),
    "i": ("user", frozenset()),
    **{
        name: ("user", frozenset()) for name in ("você", "vous", "tú", "du", "sie", "jij", "вы", "ты", "я", "ich", "yo")
    },
    **{name: ("user", frozenset()) for name in ("\u4f60", "\u6211", "\u3042\u306a\u305f")},
    **{name: ("user", frozenset()) for name, role in FOREIGN.items() if role == "user"},
    **{asked: ("user", frozenset(other for one, other in _PAIRS if one == asked)) for asked, _ in _PAIRS},
    **{answered: ("assistant", frozenset(one for one, other in _PAIRS if other == answered)) for _, answered in _PAIRS},
}
"""Names that prose uses too: they speak only beside an assistant, or beside the name that belongs to them."""


PLAIN = ("dash", "word")
"""Forms that any line of prose may have: they count only with names that are known."""
TITLES = ("heading", "alone", "rules")
"""Forms that titles of documents have too."""
_DESKS = frozenset(("support", "agent", "operator", "customer", "client", "visitor"))
"""Names that are titles in documents: as such they do not make a transcript."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A line that begins a turn.

    Attributes:
        name: as it is spelled, without a number at its end.
        form: how it is written; all lines of one transcript are written in the same way.
        end: where in the line what is said begins.
    """

    name: str
    form: tuple[str, str]
    end: int


def speaker_of(line: str) -> Speaker | None:
    """Who begins to speak in this line; none where nobody does."""
    for kind, pattern in _FORMS:
        match = pattern.match(line)
        if match and (kind not in PLAIN or may_speak(match[2].lower())):
            mark = match[1] or ""
            form = kind, mark[:1] if kind == "rules" else mark  # LangChain centres names between rules
            return Speaker(re.sub(r"\s*\d+$", "", match[2]) or match[2], form, match.end())
    return None


def may_speak(name: str) -> bool:
    """Whether a name, in lower case, is that of a speaker beside some others."""
    return name in _ROLES or name in _WEAK or name in ("a", "b") or _MODEL.match(name) is not None


def role_of_name(name: str, names: frozenset[str]) -> Role | None:
    """What a name stands for beside the other ``names``, all in lower case; none where it is not known."""
    if role := _ROLES.get(name) or ("assistant" if _MODEL.match(name) else None):
        return role
    if name in ("a", "b") and {"a", "b"} <= names and "q" not in names:
        return None  # who of A and B asks is known from who begins
    if name not in _WEAK:
        return None
    role, partners = _WEAK[name]
    are_answered = any(_ROLES.get(each) == "assistant" or _MODEL.match(each) for each in names)
    return role if partners & names or (not partners and are_answered) else None


def is_title(speaker: Speaker) -> bool:
    """Whether a line may as well be the title of a part of a document."""
    return speaker.form[0] in TITLES and speaker.name.lower() in _DESKS
