"""The ``char_lstm`` family. Its network is `engine.models.char_lstm`."""

from engine.families.family import Family, ModelShape
from engine.section import Length


class CharLstmShape(ModelShape):
    """What decides the weights of a ``char_lstm``; tied, the embedding is the head too."""

    context: Length = 2048
    tied: bool = True


CHAR_LSTM = Family(
    network="engine.models.char_lstm:CharLstm",
    presets={
        "tiny": CharLstmShape(hidden=256, layers=1, context=512),
        "small": CharLstmShape(hidden=512, layers=2),
        "large": CharLstmShape(hidden=1024, layers=3),
    },
    default="small",
    blocks=None,
    embeddings=frozenset({"embedding", "head"}),
    heads=("head", "embedding"),
    has_lstm=True,
)
