"""What reading a file to its end found in it, in the words that its owner reads."""

from pydantic import BaseModel

MOST_REASONS = 5
"""Refusals that are told; the first ones say enough."""
_LONGEST_REASON = 300


class Findings(BaseModel):
    """What is in a file.

    Attributes:
        samples: how many of each kind can be learned or kept.
        refused: how many records cannot be read.
        reasons: why, of the first of them, with their lines.
    """

    samples: dict[str, int] = {}
    refused: int = 0
    reasons: list[str] = []

    def refuse(self, line: int, reason: str) -> None:
        """Count one more record that cannot be read."""
        self.refused += 1
        if len(self.reasons) < MOST_REASONS:
            said = " ".join(reason.split())[:_LONGEST_REASON]
            self.reasons.append(f"line {line}: {said}" if line else said)

    @property
    def fault(self) -> str | None:
        """Why the file cannot be learned as it is; null: it can. One bad record is enough, as with OpenAI."""
        if self.refused:
            more = f" (and {self.refused - len(self.reasons)} more)" if self.refused > len(self.reasons) else ""
            return f"records that cannot be learned: {'; '.join(self.reasons)}{more}"
        return None if self.samples else "the file holds nothing to learn"
