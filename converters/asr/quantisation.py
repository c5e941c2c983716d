"""Quantisation-aware training: what is learnt is what the board will hold.

The forward pass and the gradient see the weights as the export writes them,

    seen = scale × clip(round(weight / scale), -largest, largest)

and the gradient at those moves the weights themselves, as if rounding were not there (the
straight-through estimator: Courbariaux et al. 2015, arXiv:1511.00363). With eight bits a scale is a
row's largest magnitude / 127, anew at every step; with four, the matrices of the LSTM layers get
scales of least squared error (`converters.export.quantise`), which are found anew every now and
then, kept in the checkpoint and used by the export.

On the backward side a regulariser pulls every weight to the nearest point of its grid. It has the
minima of the one that Nguyen et al. (Interspeech 2020, "ACosR") describe,

    R = Σ scale / π × |sin(π weight / scale)|,      dR/dweight = ±cos(π weight / scale)

where the factor before the sine, our choice, makes the pull on every weight at most 1, whatever
its grid: the weight of R is then in the unit of a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from converters.export.quantise import LARGEST, best_scales, is_coarse

_STORED = ("encoder.", "predictor.", "joiner.")
"""Whose matrices a bundle holds; what only training uses stays in float."""


def stored_matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that the export writes as int8 matrices; embeddings stay a float table."""
    for name, parameter in model.named_parameters():
        if name.startswith(_STORED) and parameter.dim() == 2 and "embedding" not in name:
            yield name, parameter


class Grid:
    """The points that the weights of a model can be exported to.

    Args:
        bits: 8, or 4 for the LSTM matrices.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.scales: dict[str, Tensor] = {}
        """float32 [rows] of every matrix of four bits, by parameter name."""

    def refresh(self, model: nn.Module) -> None:
        """Finds the scales of least error for the weights as they are."""
        for name, weight in stored_matrices(model):
            if self.bits == 4 and is_coarse(name):
                found = torch.from_numpy(best_scales(weight.detach().cpu().numpy(), 4))
                self.scales[name] = found.to(weight.device)

    def rows(self, name: str, weight: Tensor) -> tuple[Tensor, int]:
        """Scales float32 [rows, 1] of a matrix, and its largest integer."""
        if name in self.scales:
            return self.scales[name][:, None], LARGEST[4]
        peak = weight.abs().amax(1, keepdim=True)
        return torch.where(peak > 0, peak / LARGEST[8], torch.ones_like(peak)), LARGEST[8]

    def snap(self, name: str, weight: Tensor) -> Tensor:
        """The nearest weights [rows, columns] that the board can hold."""
        scales, largest = self.rows(name, weight)
        return torch.round(weight / scales).clamp_(-largest, largest) * scales

    def pull(self, name: str, weight: Tensor) -> Tensor:
        """dR/dweight, float32 [rows, columns] in -1..1; 0 beyond the outermost points."""
        scales, largest = self.rows(name, weight)
        steps = weight / scales
        phase = math.pi * steps
        slope = torch.cos(phase) * torch.sign(torch.sin(phase))
        return slope * (steps.abs() <= largest)
