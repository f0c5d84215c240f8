"""Who speaks: the names that people and programs give to the four roles."""

from engine.data.records.limits import FormatError
from engine.data.samples import Role

_NAMES: dict[Role, tuple[str, ...]] = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter", "customer"),
    "assistant": (
        "assistant",
        "gpt",
        "chatgpt",
        "bot",
        "ai",
        "model",
        "claude",
        "bing",
        "bard",
        "chatbot",
        "function_call",
        "tool_call",
    ),
    "tool": ("tool", "function", "observation", "function_response", "tool_response", "ipython"),
}

CALL_ROLES = ("function_call", "tool_call")
"""Who says a call that is JSON in a string, as ShareGPT and ms-swift write it."""
_FOREIGN: dict[Role, tuple[str, ...]] = {
    "system": ("système", "sistema", "systeem", "система", "系统", "系統", "システム", "시스템", "النظام"),
    "user": (
        *("nutzer", "nutzerin", "benutzer", "anwender", "utilisateur", "utilisatrice", "usuario", "usuaria", "usuário"),
        *("utente", "utilizador", "gebruiker", "användare", "bruger", "bruker", "käyttäjä", "użytkownik", "uživatel"),
        *("felhasználó", "utilizator", "kullan\u0131c\u0131", "пользователь", "користувач", "χρήστης", "المستخدم"),
        *("用户", "用戶", "使用者", "ユーザー", "ユーザ", "사용자", "उपयोगकर्ता", "pengguna", "người dùng"),
    ),
    "assistant": (
        *("assistent", "assistentin", "assistante", "asistente", "assistente", "avustaja", "asystent", "asistent"),
        *("asszisztens", "asistan", "ассистент", "помощник", "асистент", "βοηθός", "المساعد"),
        *("助手", "助理", "アシスタント", "어시스턴트", "सहायक", "asisten", "trợ lý"),
    ),
    "tool": ("werkzeug", "outil", "herramienta", "ferramenta", "strumento", "инструмент", "工具", "ツール", "도구"),
}
"""The same in other languages, where a word means nothing else; others are added by ``[data.roles]``."""
_OF_PROGRAMS: dict[str, Role] = {
    **dict.fromkeys(("usermessage", "user_message", "humanmessage"), "user"),
    **dict.fromkeys(("assistantmessage", "assistant_message", "bot_message", "ai_message"), "assistant"),
    **dict.fromkeys(("apimessage", "aimessage"), "assistant"),
}
"""The types of messages that programs keep: Flowise, LangChain."""

FOREIGN: dict[str, Role] = {name: role for role, names in _FOREIGN.items() for name in names}
_LISTED = ", ".join(sorted(name for names in _NAMES.values() for name in names))
KNOWN: dict[str, Role] = {name: role for role, names in _NAMES.items() for name in names} | FOREIGN | _OF_PROGRAMS


def is_role(name: object) -> bool:
    """Whether a speaker is called that, whatever its case."""
    return isinstance(name, str) and name.strip().lower() in KNOWN


def role_of(name: object, turn: int) -> Role:
    """The role that ``name`` stands for, whatever its case; ``turn`` (from 1) is for the message.

    Raises:
        FormatError: no speaker is called that.
    """
    role = KNOWN.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        shown = repr(name) if isinstance(name, str) and len(name) <= 40 else "of another kind"
        raise FormatError(
            f"turn {turn}: role {shown} is unknown; known are {_LISTED}; others, and people, are "
            "named under [data.roles] and [data.speakers] in thord.toml"
        )
    return role
