"""What a person thought of an answer: labels, thumbs, ratings and feedback, however they are written."""

import re

from pydantic import JsonValue

_OF_PEOPLE = ("feedback", "rating", "reaction", "reactions", "vote", "thumbs", "thumb", "score", "satisfaction")
_WHOSE = ("user", "human", "customer", "message", "answer")
_NAMES = (
    *("label", "kto_tag", "feedback", "rating", "annotation", "thumbs", "thumb", "vote", "reaction", "reactions"),
    *("quality", "verdict", "satisfaction", "emoji", "feedback_rating", "feedbackRating", "satisfaction_rating"),
    *("annotations", "scores", "evaluation", "review", "grade", "feedbackType", "feedback_type"),
    *(f"{whose}_{name}" for whose in _WHOSE for name in _OF_PEOPLE),
    *(f"{whose}{name.title()}" for whose in _WHOSE for name in _OF_PEOPLE),
)
_RATINGS = tuple(name for name in _NAMES if name.lower().endswith("rating"))
_GOOD = (
    *("good", "is_good", "liked", "is_liked", "thumbs_up", "thumbsUp", "upvoted", "helpful", "approved", "accepted"),
    *(
        "is_accepted",
        "correct",
        "is_correct",
        "desirable",
        "is_desirable",
        "chosen",
        "preferred",
        "is_preferred",
        "passed",
    ),
    *("like", "upvote", "isGood", "isHelpful", "is_helpful", "isCorrect", "isAccepted", "is_thumbs_up", "isThumbsUp"),
)
_BAD = (
    *("bad", "is_bad", "disliked", "is_disliked", "thumbs_down", "thumbsDown", "downvoted", "is_rejected", "wrong"),
    *("is_wrong", "incorrect", "is_incorrect", "dislike", "downvote", "isBad", "isWrong", "unhelpful"),
    *("is_thumbs_down", "isThumbsDown", "rejected"),
)
"""Keys beside which true or false says it: numbers under them are counts, of which only a thumb down is heeded."""
_FAULTY = (
    *("flagged", "is_flagged", "isFlagged", "hallucinated", "hallucination", "is_hallucination", "toxic", "is_toxic"),
    *("harmful", "is_harmful", "unsafe", "is_unsafe"),
)
_SOUND = ("safe", "is_safe", "isSafe")
"""What a check found: a fault speaks against an answer, and that none was found does not speak for it."""
_UPS = ("thumbs_up", "thumbsUp", "like", "likes", "upvote", "upvotes")
_DOWNS = ("thumbs_down", "thumbsDown", "dislike", "dislikes", "downvote", "downvotes")
_NET = ("vote", "votes", "net_votes")
"""Keys of how many more thumbs are up than down."""
_SCALES = ("max_rating", "rating_max", "maxRating", "rating_scale", "out_of")
_MARKS = frozenset((*_NAMES, *_GOOD, *_BAD, *_FAULTY, *_SOUND, *_UPS, *_DOWNS, *_NET, "score", "metadata"))
_WORDS = {
    **dict.fromkeys(
        ("true", "good", "up", "thumbsup", "thumbup", "positive", "like", "liked", "upvote", "1", "👍"), True
    ),
    **dict.fromkeys(("upvoted", "helpful", "accepted", "approved", "chosen", "desirable", "correct", "yes"), True),
    **dict.fromkeys(("downvoted", "unhelpful", "rejected", "undesirable", "incorrect", "wrong", "no"), False),
    **dict.fromkeys(("false", "bad", "down", "thumbsdown", "thumbdown", "negative", "dislike", "disliked"), False),
    **dict.fromkeys(("downvote", "0", "-1", "👎"), False),
    **dict.fromkeys(
        ("low", "poor", "terrible", "awful", "useless", "nothelpful", "unsatisfied", "dissatisfied"), False
    ),
    **dict.fromkeys(("high", "excellent", "great", "satisfied"), True),
}
_HELD = ("value", "type", "emoji", "name", "score", "result", "choices", "values")
"""Keys of a verdict in an object."""
_NAMED = ("name", "key")
_OPINIONS = re.compile("feedback|thumb|user|human|rating|helpful|correct|quality|accept", re.IGNORECASE)
"""Names of scores that are opinions of an answer: of others, such as toxicity, 0 may be the best."""
_OF_A_SCALE = re.compile(r"\s*(\d{1,3}(?:\.\d{1,2})?)\s*/\s*(\d{1,3})\s*")
"""As people write ``2/5``."""
_STARS = re.compile(r"\s*(?:([0-5](?:\.\d)?) ?(?:stars?|\u2605)|(\u2605{0,5})\u2606*)\s*", re.IGNORECASE)
"""Of five: ``2 stars``, or as many signs."""


def verdict_of(value: JsonValue) -> bool | None:
    """Good, bad, or none that can be understood as either: -1, 0 and 1 are thumbs, other numbers of any scale."""
    if isinstance(value, dict):
        if (name := next((value[key] for key in _NAMED if isinstance(value.get(key), str)), None)) is not None:
            value = value if _OPINIONS.search(str(name)) or verdict_of(name) is not None else {"name": name}
        said = (verdict_in(value), *(verdict_of(value[key]) for key in _HELD if key in value))
        return next((verdict for verdict in said if verdict is not None), None)
    if isinstance(value, list):
        verdicts = {verdict_of(each) for each in value if not isinstance(each, list)}
        return False if False in verdicts else True if True in verdicts else None
    if isinstance(value, str):
        if (scale := _OF_A_SCALE.fullmatch(value)) and (most := int(scale[2])):
            return float(scale[1]) >= most / 2
        if value.strip() and (stars := _STARS.fullmatch(value)):
            return float(stars[1] or len(stars[2])) >= 3
        bare = "".join(filter(lambda character: character.isalnum() or character in "👍👎", value)).lower()
        return _WORDS.get(f"-{bare}" if value.lstrip().startswith("-") else bare)
    if isinstance(value, bool | int | float) and value in (-1, 0, 1):
        return value == 1
    return None


def verdict_in(record: dict[str, JsonValue]) -> bool | None:
    """The verdict beside an answer; a ``score`` tells only where it is -1, as HuggingChat's thumb down."""
    if _MARKS.isdisjoint(record):
        return None
    if _is_low_of_scale(record) or _has_fault(record):
        return False
    named = (verdict_of(record[name]) for name in _NAMES if record.get(name) is not None)
    marked = (*(_said(name, record[name]) for name in _GOOD if name in record), *_against(record))
    found = next((verdict for verdict in (*named, *marked) if verdict is not None), None)
    if found is None and any(_is_low(record[name]) for name in _RATINGS if name in record):
        return False
    if found is None and isinstance(metadata := record.get("metadata"), dict):
        found = verdict_in({name: value for name, value in metadata.items() if name != "metadata"})
    is_against = found is None and (record.get("score") == -1 or _has_thumb_down(record))
    return False if is_against else found


def _has_fault(record: dict[str, JsonValue]) -> bool:
    faults = (_said(name, record[name]) for name in _FAULTY if name in record)
    return True in faults or False in [_said(name, record[name]) for name in _SOUND if name in record]


def _is_low_of_scale(record: dict[str, JsonValue]) -> bool:
    """Whether a rating is below the middle of the scale beside it."""
    most = next((scale for key in _SCALES if (scale := _number(record.get(key)))), 0)
    ratings = (_number(record.get(name)) for name in _RATINGS)
    return most > 1 and any(rating is not None and rating < most / 2 for rating in ratings)


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_low(rating: JsonValue) -> bool:
    """Whether a number is low on every scale that has it: 2, or less than a half."""
    return rating in (2, "2") or (isinstance(rating, float) and 0 < rating < 0.5)


def _against(record: dict[str, JsonValue]) -> list[bool | None]:
    said = (_said(name, record[name]) for name in _BAD if name in record)
    return [None if each is None else not each for each in said]


def _said(name: str, value: JsonValue) -> bool | None:
    """What true or false, or a word for it, says; a number is a count, except beside a key such as ``is_correct``."""
    if isinstance(value, int) and value in (0, 1) and (name.startswith("is") or name == "correct"):
        return value == 1
    return value if isinstance(value, bool) else verdict_of(value) if isinstance(value, str) else None


def _has_thumb_down(record: dict[str, JsonValue]) -> bool:
    """Whether more thumbs are down than up."""
    ups, downs = (sum(_number(record.get(name)) or 0 for name in names) for names in (_UPS, _DOWNS))
    return downs > ups or any((_number(record.get(name)) or 0) < 0 for name in _NET)
