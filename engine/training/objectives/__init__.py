"""What a run minimises: one Protocol, a file for each objective, and a table of them by name."""
