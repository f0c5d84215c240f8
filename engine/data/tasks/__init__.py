"""Tasks: what is asked about a text, and how the answer is written."""
