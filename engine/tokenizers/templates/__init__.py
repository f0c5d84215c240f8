"""How dialogues are written as text, calls to tools included: thord's own template, and that of an imported model."""
