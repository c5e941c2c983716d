"""The agent's beam over a model in training: several readings of every row, best first.

The search itself is `agent.hearing.beam`, the one that the board runs, with its settings; only
the joiner is computed from the weights as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.hearing.beam import BeamSearch
from agent.hearing.joint import Pair
from converters.asr.methods import Search
from converters.asr.model import Recogniser
from converters.asr.text import BLANK

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One way to read a row."""

    labels: list[int]
    gain: float
    """What the language model adds to the log-probability, weighted."""
    last: int = -1
    """Frame in which its last label was emitted; -1: it has none."""


class _WeightsJoint:
    """The agent's `Joint`, computed from a model's weights."""

    def __init__(self, model: Recogniser) -> None:
        self.labels, self.blank = model.shape.labels, BLANK
        each = torch.arange(self.labels, device=model.joiner.output.weight.device)
        table = model.predictor(torch.cartesian_prod(each, each)).float()
        self._table: Floats = table.cpu().numpy()
        self._weight: Floats = model.joiner.output.weight.float().t().contiguous().cpu().numpy()
        self._bias: Floats = model.joiner.output.bias.float().cpu().numpy()

    def __call__(self, encoding: Floats, pairs: Sequence[Pair], /) -> Floats:
        """Log-probabilities float32 [n, labels] in a frame [1, dim] after pairs of labels."""
        predictions = self._table[[older * self.labels + newer for older, newer in pairs]]
        rows: Floats = np.tanh(encoding + predictions) @ self._weight + self._bias
        rows -= rows.max(axis=1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return rows


@torch.no_grad()
def readings(
    model: Recogniser, encoded: Tensor, frames: Tensor, search: Search
) -> list[list[Reading]]:
    """The readings of every row.

    Args:
        model: whose encodings these are.
        encoded: float [B, T, joint].
        frames: int64 [B], how many of them to decode.
        search: how.

    Returns:
        B lists of 1 to `Search.width` readings, best first.
    """
    beam = BeamSearch(
        _WeightsJoint(model), search.language, weight=search.weight, width=search.width
    )
    encodings: Floats = encoded.detach().float().cpu().numpy()
    found = []
    for row, count in zip(encodings, frames.tolist(), strict=True):
        beam.reset()
        for frame in range(count):
            beam.process(row[frame : frame + 1], frame)
        beam.finish()
        found.append(
            [
                Reading(
                    [token.label for token in path.tokens],
                    path.score - path.log_prob,
                    path.tokens[-1].frame if path.tokens else -1,
                )
                for path in beam.best(search.width)
            ]
        )
    return found


@torch.no_grad()
def best_readings(
    model: Recogniser, frames: Tensor, lengths: Tensor, search: Search
) -> list[Reading]:
    """The best reading of every clip.

    Args:
        model: in evaluation mode.
        frames: float32 [B, T, 256].
        lengths: int64 [B], frames of each clip.
        search: how.
    """
    return [those[0] for those in readings(model, model.encoder(frames), lengths, search)]
