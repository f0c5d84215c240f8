"""The main job of thord, shown from end to end on text that every machine has."""
