"""The interface of every generator network."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """Maps the condition [N, 4, H, W] (`color.condition`) to chroma [N, 2, H, W] in [-0.5, 0.5]."""

    multiple_of: int
    """H and W must be multiples of this."""

    @abstractmethod
    def predict(self, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """Chroma [N, 2, H, W], and the logits over `color_bins.colors` [N, h, w, COUNT] behind it.

        The logits are None for a network that regresses chroma directly.
        """

    def forward(self, condition: Tensor) -> Tensor:
        """Chroma alone."""
        return self.predict(condition)[0]

    @abstractmethod
    def scale_chroma(self, gain: float) -> None:
        """Scale the weights of the output layer so that chroma is multiplied by `gain`."""
