"""What thorctl shows: words, tables, progress, and JSON for programs."""
