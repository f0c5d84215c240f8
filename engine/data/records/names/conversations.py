"""Which conversation a row of a table is of, by the columns that say so, however these are spelled.

``conversation_id``, ``conversationId``, ``Conversation ID`` and ``conversation`` are one column. Where no column names
the conversation, one that names a subject or a person tells apart what must not be one.
"""

from functools import lru_cache

from pydantic import JsonValue

_CONVERSATION = ("conversation", "conv", "session", "thread", "chat", "dialog", "dialogue", "interaction", "trace")
_SUBJECT = ("ticket", "case", "room", "group", "topic", "call", "sample", "example", "episode")
_PERSON = (
    *("customerid", "clientid", "contactid", "visitorid", "accountid", "userid", "uid", "phone", "phonenumber"),
    *("email", "useremail", "customeremail", "memberid", "patientid", "studentid", "user", "username", "login", "nick"),
    *("nickname", "handle", "customer", "client", "contact", "visitor", "account", "member", "owner", "ownerid"),
    *("ip", "ipaddress", "clientip", "deviceid", "channelid", "channel"),
)
_NAMES = (
    "messagetreeid",
    *(f"{of}{end}" for of in _CONVERSATION for end in ("id", "uuid", "")),
    *(f"{of}{end}" for of in _SUBJECT for end in ("id", "uuid", "")),
    *_PERSON,
)
_HOLDERS = ("metadata", "meta")
"""Keys of objects in which a conversation is named, where a row does not name it itself."""
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_SUBJECTS = _PLACES["ticketid"]
_PERSONS = _PLACES[_PERSON[0]]


@lru_cache(maxsize=4096)
def _place(key: str) -> int | None:
    """How early a column is asked; none where it says nothing about the conversation."""
    return _PLACES.get(key.strip().lower().replace("_", "").replace("-", "").replace(" ", ""))


def name_of(record: dict[str, JsonValue]) -> str:
    """What the conversation of a row is called, by the column and the id; empty where the row does not say."""
    asked = sorted((place, key) for key in record if (place := _place(key)) is not None)
    found = next(((place, name) for place, key in asked if (name := _named(key, record[key]))), None)
    if found is None or found[0] >= _PERSONS:
        for held in (record[holder] for holder in _HOLDERS if holder in record):
            if isinstance(held, dict) and names_conversation(held):
                return name_of(held)
    return found[1] if found else ""


def names_conversation(record: dict[str, JsonValue]) -> bool:
    """Whether a column names the conversation itself, not its subject or a person."""
    return any((place := _place(key)) is not None and place < _SUBJECTS and _named(key, record[key]) for key in record)


def person_column(conversation: str) -> str:
    """The column by which `name_of` told a conversation, where that names a person; empty where it does not."""
    key = conversation.split(" ", 1)[0]
    place = _place(key)
    return key if place is not None and place >= _PERSONS else ""


def _named(key: str, value: JsonValue) -> str:
    if isinstance(value, dict):
        value = value.get("id")
    is_name = isinstance(value, str | int | float) and value != "" and not isinstance(value, bool)
    return f"{key.strip().replace(' ', '_')} {value}" if is_name else ""
