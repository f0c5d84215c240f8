"""Feed-forward layers."""

from torch import Tensor, nn

from engine.families.thor import ThorShape
from engine.models import functional
from engine.models.linear import Linear


class ThorFeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.hidden, shape.feed_forward)
        self.up_proj = Linear(shape.hidden, shape.feed_forward)
        self.down_proj = Linear(shape.feed_forward, shape.hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each position for itself."""
        out_BTD: Tensor = self.down_proj(functional.gated(self.gate_proj(x_BTD), self.up_proj(x_BTD)))
        return out_BTD
