"""The convolutional GRU of R-MVSNet (section 3.3 of arXiv:1902.10556), one cell."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """One cell: the update gate keeps the old state.

    Each norm is over height, width and channels of one sample, with scale and bias a channel: the
    released code calls it a group norm of 16 channels, and none of its cells has more.
    """

    def __init__(self, before: int, state: int) -> None:
        super().__init__()
        both = before + state
        self.state = state
        self.gate_conv = nn.Conv2d(both, 2 * state, 3, padding=1)
        self.reset_gate_norm = nn.GroupNorm(1, state)
        self.update_gate_norm = nn.GroupNorm(1, state)
        self.output_conv = nn.Conv2d(both, state, 3, padding=1)
        self.output_norm = nn.GroupNorm(1, state)

    def forward(
        self, x: Float[Tensor, "b c h w"], h: Float[Tensor, "b s h w"]
    ) -> Float[Tensor, "b s h w"]:
        reset, update = self.gate_conv(torch.cat([x, h], 1)).split(self.state, 1)
        reset = torch.sigmoid(self.reset_gate_norm(reset))
        update = torch.sigmoid(self.update_gate_norm(update))
        y = torch.tanh(self.output_norm(self.output_conv(torch.cat([x, reset * h], 1))))
        return update * h + (1 - update) * y

    def start(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b s h w"]:
        """The state before the first plane: zeros."""
        return x.new_zeros(x.shape[0], self.state, *x.shape[2:])


class GruRegulariser(nn.Module):
    """Three stacked cells and a convolution to one score; names as in the ported checkpoint.

    ``widths`` are the states of the cells; ``mapped`` puts the paper's convolution from 32 to 16
    channels before them (the released code feeds the 32 channels to the first cell).
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 4, 2), mapped: bool = False) -> None:
        super().__init__()
        first, second, third = widths
        self.map_conv = nn.Conv2d(32, 16, 3, padding=1) if mapped else None
        self.gru1 = ConvGRU(16 if mapped else 32, first)
        self.gru2 = ConvGRU(first, second)
        self.gru3 = ConvGRU(second, third)
        self.prob_conv = nn.Conv2d(third, 1, 3, padding=1)

    def plane(
        self, cost: Float[Tensor, "b 32 h w"], states: list[Tensor] | None
    ) -> tuple[Float[Tensor, "b h w"], list[Tensor]]:
        """One plane: (negated) cost and the states before -> score and the states after."""
        x = cost if self.map_conv is None else self.map_conv(cost)
        after = []
        for i, cell in enumerate((self.gru1, self.gru2, self.gru3)):
            x = cell(x, states[i] if states else cell.start(x))
            after.append(x)
        return self.prob_conv(x)[:, 0], after
