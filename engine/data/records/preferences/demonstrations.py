"""What is learned at once of samples that are held: the answer that was preferred, the text that was labelled.

A preference says which answer is good: that one is a dialogue like any other. What was rejected is never learned.
"""

from engine.data.records.pieces import pieces
from engine.data.samples import Answer, Conversation, Dialogue, Labelled, Preference, Sample


def demonstrated_by(sample: Sample) -> list[Conversation]:
    """The dialogues or texts to learn that come with a sample of another kind; none where nothing was judged good."""
    if isinstance(sample, Labelled):
        return [*pieces(sample.text)]
    if isinstance(sample, Preference) and (best := _best(sample)) is not None:
        dialogue = Dialogue((*sample.prompt, *best.messages))
        return [dialogue] if any(message.is_supervised for message in best.messages) else []
    return []


def _best(preference: Preference) -> Answer | None:
    """The answer that stands above all others; one by itself must have been judged good.

    Where score and rank of an answer disagree, as in a pair whose rejected answer has the higher score, none does.
    """
    answers = preference.answers
    if len(answers) == 1:
        return answers[0] if answers[0].score == 1 else None
    worth = [_worth(answer) for answer in answers]
    best = max(worth, default=0)
    if worth.count(best) != 1:
        return None
    found = answers[worth.index(best)]
    is_outranked = any(each.rank < found.rank for each in answers if each.rank is not None and found.rank is not None)
    return None if is_outranked else found


def _worth(answer: Answer) -> float:
    return answer.score if answer.score is not None else -(answer.rank if answer.rank is not None else float("inf"))
