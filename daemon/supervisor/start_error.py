"""Why thord does not start, where that is no fault of its own."""


class StartError(Exception):
    """The text is for people: what is wrong, where, and what to do."""
