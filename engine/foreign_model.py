"""Models from elsewhere, and for elsewhere: what their importers and exporters have in common."""


class ForeignModelError(Exception):
    """A model that cannot be imported, or exported, as it was asked to; the message says why, and what to do.

    It is one line even where it quotes a damaged file.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(character if character.isprintable() else "\ufffd" for character in message))
