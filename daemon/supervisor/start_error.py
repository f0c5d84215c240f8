"""Why thord does not start, if the reason lies outside thord."""


class StartError(Exception):
    """The text is for people: what is wrong, where, and what to do."""
