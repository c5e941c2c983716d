"""Gradual pruning (Zhu and Gupta 2017, arXiv:1710.01878): small weights become zero for good.

Between two moments of the training the share of zeros in every LSTM matrix rises as

    share(t) = goal × (1 - (1 - t)³),      t from 0 to 1

fast at first, while many weights are of no use, and slowly at the end, while the others learn to do
without. Weights are judged alone or in blocks by their mean magnitude. What is zero stays zero:
blocks of zeros have the least magnitude of all when the next are chosen.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from converters.export.quantise import is_coarse

_EVERY = 20
"""Steps between two choices."""


def share_of_zeros(goal: float, progress: float, begin: float, end: float) -> float:
    """The cubic schedule.

    Args:
        goal: share of zeros at the end of the ramp.
        progress: of the training, in [0, 1].
        begin: progress at which the ramp starts.
        end: progress at which it ends.
    """
    t = min(1.0, max(0.0, (progress - begin) / (end - begin)))
    return goal * (1.0 - (1.0 - t) ** 3)


def prunable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The matrices of the encoder's LSTM layers: nine tenths of all weights."""
    return ((name, p) for name, p in model.named_parameters() if is_coarse(name))


def smallest_blocks(weight: Tensor, share: float, block: tuple[int, int]) -> Tensor:
    """Which weights stay.

    Args:
        weight: float [rows, columns]; each a multiple of the block's.
        share: of blocks that become zero.
        block: rows and columns.

    Returns:
        bool [rows, columns], False where a weight belongs to one of the smallest blocks.
    """
    high, wide = block
    rows, columns = weight.shape
    blocks = weight.abs().reshape(rows // high, high, columns // wide, wide).mean((1, 3))
    count = round(share * blocks.numel())
    stays = torch.ones(blocks.numel(), dtype=torch.bool, device=weight.device)
    stays[blocks.flatten().argsort(stable=True)[:count]] = False
    grid = stays.reshape(rows // high, 1, columns // wide, 1)
    return grid.expand(-1, high, -1, wide).reshape(rows, columns)


class Pruner:
    """Keeps the zeros of a model zero, and chooses more of them.

    Args:
        model: the one that learns.
        goal: share of zeros in the end.
        block: rows and columns that are judged together.
        ramp: share of the training at which pruning begins and ends.

    Raises:
        ValueError: A matrix does not consist of whole blocks.
    """

    def __init__(
        self, model: nn.Module, goal: float, block: tuple[int, int], ramp: tuple[float, float]
    ) -> None:
        for name, weight in prunable(model):
            if weight.shape[0] % (4 * block[0]) or weight.shape[1] % block[1]:
                raise ValueError(
                    f"{name} has {weight.shape[0]} rows and {weight.shape[1]} columns, which are no"
                    f" whole blocks of {block[0]}x{block[1]} in each gate; choose smaller blocks"
                )
        self._model = model
        self._goal, self._block, self._ramp = goal, block, ramp
        self.masks: dict[str, Tensor] = {}
        """bool [rows, columns] by parameter name, False where a weight is zero for good."""

    def choose(self, step: int, progress: float) -> None:
        """Sets more weights to zero when it is time to; to be called before every step."""
        if step % _EVERY == 0 or not self.masks:
            share = share_of_zeros(self._goal, progress, *self._ramp)
            for name, weight in prunable(self._model):
                self.masks[name] = smallest_blocks(weight.detach(), share, self._block)
            self.clear(self._model)

    def recall(self) -> None:
        """Takes the zeros that the model has for those that were chosen; for going on."""
        self.masks = {name: weight.detach() != 0 for name, weight in prunable(self._model)}

    @torch.no_grad()
    def clear(self, model: nn.Module) -> None:
        """Sets what is to be zero to zero, in the model or in its average."""
        for name, mask in self.masks.items():
            model.get_parameter(name).mul_(mask)

    @torch.no_grad()
    def silence(self) -> None:
        """Takes the gradient away from what is zero, so that the optimiser forgets it."""
        for name, mask in self.masks.items():
            gradient = self._model.get_parameter(name).grad
            if gradient is not None:
                gradient.mul_(mask)
