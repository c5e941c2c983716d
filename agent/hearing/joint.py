"""Predictor and joiner of a transducer: what may come next in a frame after two labels.

The predictor sees only the last two labels (a stateless one; Ghodsi et al. 2020), so what it
answers is kept in a table by those two and is hardly ever computed twice. The joiner's file fixes
how many such pairs it answers in one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.errors import BundleFileError

MOST_PREDICTIONS = 4096
"""Rows of the table: all pairs of up to 64 labels, 4 MiB at 256 numbers each."""

Floats = NDArray[np.float32]
Pair = tuple[int, int]
"""The last two labels, the older first."""


class PredictionTable:
    """What the predictor answers to each pair of labels, computed when first asked for.

    Args:
        model: Input `labels` int32 [1, 2], output `prediction` float32 [1, dim].
        labels: Number of labels, with the blank.
    """

    def __init__(self, model: Model, labels: int) -> None:
        model.require({"labels": (1, 2)}, {"prediction": (1, -1)})
        self._model = model
        self.dim = model.shape("prediction")[1]
        rows = min(labels * labels, MOST_PREDICTIONS)
        self._table = np.zeros((rows, self.dim), np.float32)
        self._rows: dict[Pair, int] = {}
        self._pair = np.zeros((1, 2), np.int32)

    def __getitem__(self, pair: Pair) -> Floats:
        """The prediction, float32 [dim], after two labels."""
        row = self._rows.get(pair)
        if row is None:
            if len(self._rows) == len(self._table):
                # Filling it again costs microseconds an entry; counting its uses would cost more.
                self._rows.clear()
            row = len(self._rows)
            self._pair[0] = pair
            self._table[row] = self._model(self._pair)[0][0]
            self._rows[pair] = row
        prediction: Floats = self._table[row]
        return prediction


class Joint:
    """Log-probabilities of the next label.

    Args:
        predictor: See `PredictionTable`.
        joiner: Inputs `encoding` [1, dim] and `prediction` [pairs, dim], output `logits`
            [pairs, labels].
        blank: Index of the blank, which is also what stands before the first label.

    Attributes:
        labels: How many there are, with the blank.
        dim: Numbers in an encoding.
        pairs: How many are answered in one call of the model.
        blank: See above.

    Raises:
        BundleFileError: The models do not fit each other.
    """

    def __init__(self, predictor: Model, joiner: Model, *, blank: int = 0) -> None:
        joiner.require(
            {"encoding": (1, -1), "prediction": (-1, -1)},
            {"logits": (-1, -1)},
        )
        self.pairs, self.labels = joiner.shape("logits")
        self.dim = joiner.shape("encoding")[1]
        self.blank = blank
        self._table = PredictionTable(predictor, self.labels)
        if joiner.shape("prediction") != (self.pairs, self._table.dim):
            raise BundleFileError(
                f"{predictor.name} and {joiner.name} do not belong together; restore the bundle."
            )
        self._joiner = joiner
        self._predictions = np.zeros((self.pairs, self.dim), np.float32)
        # By position is quicker than by name, and the file decides which one comes first.
        self._encoding_first = joiner.inputs[0] == "encoding"

    def __call__(self, encoding: Floats, pairs: Sequence[Pair]) -> Floats:
        """What may follow in a frame.

        Args:
            encoding: float32 [1, dim].
            pairs: The last two labels of n readings.

        Returns:
            Natural logarithms of probabilities, float32 [n, labels].
        """
        if len(pairs) > self.pairs:
            parts = range(0, len(pairs), self.pairs)
            return np.concatenate([self(encoding, pairs[i : i + self.pairs]) for i in parts])
        for row, pair in enumerate(pairs):
            self._predictions[row] = self._table[pair]
        if self._encoding_first:
            (logits,) = self._joiner(encoding, self._predictions)
        else:
            (logits,) = self._joiner(self._predictions, encoding)
        # Relative to the largest, so that nothing overflows.
        rows: Floats = logits[: len(pairs)]
        rows -= rows.max(axis=1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return rows
