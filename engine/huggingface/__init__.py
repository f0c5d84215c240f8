"""Models in the layout of Hugging Face: read from there, written to there."""
