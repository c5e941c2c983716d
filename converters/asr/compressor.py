"""Applies grids of few bits and zeros to a model in training.

    with compressor.applied(step, progress):    the model holds what the board would
        loss = …; loss.backward()
    optimiser.step()
    compressor.settle(average)                  zeros are zero again

A compressor that is asked for neither does nothing at all.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from converters.asr.compression import Compression
from converters.asr.quantisation import Grid, stored_matrices
from converters.asr.sparsity import Pruner

_REFRESH = 100
"""Steps between two searches for the scales of four bits."""


class Compressor:
    """Applies a compression to a model in training.

    Args:
        model: the one that learns.
        wanted: what is asked for.
    """

    def __init__(self, model: nn.Module, wanted: Compression) -> None:
        self._model = model
        self._wanted = wanted
        self._grid = Grid(wanted.bits) if wanted.bits else None
        self._pruner: Pruner | None = None
        if wanted.sparsity:
            self._pruner = Pruner(model, wanted.sparsity, wanted.block, wanted.ramp)

    @contextlib.contextmanager
    def applied(self, step: int, progress: float) -> Iterator[None]:
        """Within it the model's weights are as the board would hold them; gradients gather.

        Args:
            step: how many went before.
            progress: share of the training in [0, 1].
        """
        if self._pruner:
            self._pruner.choose(step, progress)
        if self._grid and (step % _REFRESH == 0 or not self._grid.scales):
            self._grid.refresh(self._model)
        with self._snapped(self._model):
            yield
        if self._grid and self._wanted.grid_weight:
            weight = self._wanted.grid_weight * min(1.0, progress / self._wanted.grid_ramp)
            for name, parameter in stored_matrices(self._model):
                if parameter.grad is not None:
                    parameter.grad.add_(self._grid.pull(name, parameter.detach()), alpha=weight)
        if self._pruner:
            self._pruner.silence()

    def settle(self, average: nn.Module) -> None:
        """Brings zeros back to zero after a step, in the model and in its average."""
        if self._pruner:
            self._pruner.clear(self._model)
            self._pruner.clear(average)

    def as_exported(self, model: nn.Module) -> Any:
        """The model with weights as the board would hold them; itself where they are in float."""
        if not self._grid:
            return model
        found = copy.deepcopy(model)
        with torch.no_grad():
            for name, parameter in stored_matrices(found):
                parameter.copy_(self._grid.snap(name, parameter))
        return found

    @contextlib.contextmanager
    def _snapped(self, model: nn.Module) -> Iterator[None]:
        grid = self._grid
        if not grid:
            yield
            return
        kept = {name: parameter.detach().clone() for name, parameter in stored_matrices(model)}
        for name, parameter in stored_matrices(model):
            parameter.data.copy_(grid.snap(name, kept[name]))
        try:
            yield
        finally:
            for name, parameter in stored_matrices(model):
                parameter.data.copy_(kept[name])

    def state(self) -> dict[str, Any]:
        """For the checkpoint: the scales of four bits; zeros tell themselves."""
        return {"bits": self._wanted.bits, "scales": self._grid.scales if self._grid else {}}

    def resume(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        if self._grid and state.get("bits") == self._wanted.bits:
            self._grid.scales = state["scales"]
        if self._pruner:
            self._pruner.recall()
