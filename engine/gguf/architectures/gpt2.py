"""The architecture ``gpt2``."""

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.gpt2 import Gpt2Shape
from engine.foreign_model import ForeignModelError
from engine.gguf.architectures.architecture import Described
from engine.gguf.container import GgufFile


class Gpt2:
    """Implements `engine.gguf.architectures.architecture.Architecture`."""

    name = "gpt2"
    keys = frozenset(
        {
            "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
            "attention.layer_norm_epsilon",
        }
    )  # fmt: skip
    turns_neighbours = False

    def read(self, file: GgufFile) -> ModelSettings:
        """The settings that make the model in a file.

        Raises:
            ForeignModelError: something is missing, or has another size than GPT-2's.
            ValidationError: sizes do not go together.
        """
        known = file.metadata
        hidden, inner = known.integer("gpt2.embedding_length"), known.integer("gpt2.feed_forward_length")
        if inner != 4 * hidden:
            raise ForeignModelError(f"{known.path}: gpt2.feed_forward_length is {inner}, and not four times the width")
        return ModelSettings(
            family="gpt2",
            hidden=hidden,
            layers=known.integer("gpt2.block_count"),
            heads=known.integer("gpt2.attention.head_count"),
            context=known.integer("gpt2.context_length"),
            norm_epsilon=known.number("gpt2.attention.layer_norm_epsilon"),
        ).resolved

    def write(self, shape: ModelShape, vocabulary: int) -> Described:
        """What a file says of such a model.

        Raises:
            TypeError: the shape is another family's.
        """
        if not isinstance(shape, Gpt2Shape):
            raise TypeError(f"the shape of a gpt2 is expected, not a {type(shape).__name__}")
        return Described(
            "gpt2",
            {
                "gpt2.block_count": shape.layers,
                "gpt2.context_length": shape.context,
                "gpt2.embedding_length": shape.hidden,
                "gpt2.feed_forward_length": 4 * shape.hidden,
                "gpt2.attention.head_count": shape.heads,
                "gpt2.attention.layer_norm_epsilon": shape.norm_epsilon,
                "gpt2.vocab_size": vocabulary,
            },
        )
