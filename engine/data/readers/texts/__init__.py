"""Files of plain text: transcripts, written-out templates, utterances, prose, and what only looks like prose."""
