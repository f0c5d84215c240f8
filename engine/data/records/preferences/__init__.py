"""Rows that say which answer is better, or good: pairs, rankings, verdicts; and what of them is learned at once."""
