"""What a person thought of an answer: labels, thumbs, ratings and feedback, however they are written."""

from pydantic import JsonValue

_NAMES = (
    *("label", "kto_tag", "feedback", "user_feedback", "rating", "annotation", "thumbs", "thumb", "vote", "reaction"),
    *("quality", "verdict"),
)
_GOOD = ("good", "is_good", "liked", "is_liked", "thumbs_up", "thumbsUp", "upvoted", "helpful", "approved", "accepted")
_BAD = ("bad", "is_bad", "disliked", "is_disliked", "thumbs_down", "thumbsDown", "downvoted")
"""Keys beside which true or false says it: numbers under them are counts."""
_MARKS = frozenset((*_NAMES, *_GOOD, *_BAD, "score"))
_WORDS = {
    **dict.fromkeys(
        ("true", "good", "up", "thumbsup", "thumbup", "positive", "like", "liked", "upvote", "1", "👍"), True
    ),
    **dict.fromkeys(("upvoted", "helpful", "accepted", "desirable", "correct"), True),
    **dict.fromkeys(("downvoted", "unhelpful", "rejected", "undesirable", "incorrect", "wrong"), False),
    **dict.fromkeys(("false", "bad", "down", "thumbsdown", "thumbdown", "negative", "dislike", "disliked"), False),
    **dict.fromkeys(("downvote", "0", "-1", "👎"), False),
}


def verdict_of(value: JsonValue) -> bool | None:
    """Good, bad, or none that can be understood as either: numbers beside -1, 0 and 1 are on a scale of their own."""
    if isinstance(value, dict):
        return verdict_in(value) if "rating" in value else verdict_of(value.get("value", value.get("type")))
    if isinstance(value, str):
        bare = "".join(filter(lambda character: character.isalnum() or character in "👍👎", value)).lower()
        return _WORDS.get(f"-{bare}" if value.lstrip().startswith("-") else bare)
    if isinstance(value, bool | int | float) and value in (-1, 0, 1):
        return value == 1
    return None


def verdict_in(record: dict[str, JsonValue]) -> bool | None:
    """The verdict beside an answer; a ``score`` tells only where it is -1, as HuggingChat's thumb down."""
    if _MARKS.isdisjoint(record):
        return None
    named = (verdict_of(record[name]) for name in _NAMES if record.get(name) is not None)
    said = [record[name] for name in _GOOD if name in record] + [
        _turned(record[name]) for name in _BAD if name in record
    ]
    marked = (value for value in said if isinstance(value, bool))
    found = next((verdict for verdict in (*named, *marked) if verdict is not None), None)
    return False if found is None and record.get("score") == -1 else found


def _turned(value: JsonValue) -> JsonValue:
    return not value if isinstance(value, bool) else None
