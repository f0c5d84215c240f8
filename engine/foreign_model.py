"""Models from elsewhere, and for elsewhere: what their importers and exporters have in common."""


class ForeignModelError(Exception):
    """A model that cannot be imported, or exported, as it was asked to; the message says why, and what to do."""
