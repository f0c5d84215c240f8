"""Open Assistant's trees: a prompt with ranked replies, which have replies of their own.

Source: the exports of Open Assistant (``{"message_tree_id", "prompt": {"text", "role", "replies": [...]}}``). The best
branch is a dialogue; replies that people ranked against each other are a preference.
"""

from collections.abc import Sequence

from engine.data.records.dialogue import Turn, dialogue_of, messages_of
from engine.data.records.limits import Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string
from engine.data.samples import Answer, Preference, Sample


def _fits(record: Record) -> bool:
    return "message_tree_id" in record and isinstance(child(record, "prompt").get("replies"), list)


def _parse(record: Record, limits: Limits) -> Sequence[Sample]:
    turns: list[Turn] = []
    found: list[Sample] = []
    node = child(record, "prompt")
    while node:
        turns.append(Turn(role_of(node.get("role"), len(turns) + 1), string(node.get("text"))))
        replies = sorted((each for each in records(node.get("replies")) if not each.get("deleted")), key=_rank)
        ranked = [each for each in replies if _rank(each) != float("inf")]
        if len(ranked) > 1 and turns[-1].role == "user":
            answers = (
                Answer(messages_of([Turn("assistant", string(each.get("text")))], limits), rank=round(_rank(each)) + 1)
                for each in ranked
            )
            found.append(Preference(messages_of(turns, limits), tuple(answers)))
        node = replies[0] if replies else {}
    while turns and turns[-1].role != "assistant":
        turns.pop()
    return [dialogue_of(turns, limits), *found]


def _rank(reply: Record) -> float:
    """0 is the best; a reply without a rank comes after those that have one."""
    rank = reply.get("rank")
    if isinstance(rank, str) and rank.isdecimal() and len(rank) < 4:
        rank = int(rank)
    return rank if isinstance(rank, int) else float("inf")


SHAPE = RecordShape("Open Assistant's trees {message_tree_id, prompt}", _fits, _parse, ("message_tree_id",))
