"""What a person thought of an answer: labels, thumbs, ratings and feedback, however they are written."""

from pydantic import JsonValue

_NAMES = ("feedback", "rating", "annotation", "thumbs", "thumb", "vote")
_WORDS = {
    **dict.fromkeys(("true", "good", "up", "thumbsup", "thumbup", "positive", "like", "liked", "upvote", "1"), True),
    **dict.fromkeys(("false", "bad", "down", "thumbsdown", "thumbdown", "negative", "dislike", "disliked"), False),
    **dict.fromkeys(("downvote", "0", "-1"), False),
}


def verdict_of(value: JsonValue) -> bool | None:
    """Good, bad, or none that can be understood as either: numbers beside -1, 0 and 1 are on a scale of their own."""
    if isinstance(value, dict):
        return verdict_in(value) if "rating" in value else verdict_of(value.get("value", value.get("type")))
    if isinstance(value, str):
        return _WORDS.get("".join(filter(lambda character: character.isalnum() or character == "-", value)).lower())
    if isinstance(value, bool | int | float) and value in (-1, 0, 1):
        return value == 1
    return None


def verdict_in(record: dict[str, JsonValue]) -> bool | None:
    """The verdict beside an answer."""
    found = (verdict_of(record[name]) for name in _NAMES if record.get(name) is not None)
    return next((verdict for verdict in found if verdict is not None), None)
