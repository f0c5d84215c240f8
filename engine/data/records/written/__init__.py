"""Dialogues written out as one text: in the template of a model, or with the names of the speakers."""
