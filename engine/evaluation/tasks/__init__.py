"""How well a version answers the tasks of held-out rows."""
