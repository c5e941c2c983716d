"""Predictor and joiner of a transducer: what may come next in a frame after two labels.

The predictor sees only the last two labels (a stateless one; Ghodsi et al. 2020), so what it
answers is kept in a table by those two and is hardly ever computed twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.errors import BundleFileError

MOST_PREDICTIONS = 4096
"""Rows of the table: all pairs of up to 64 labels, 4 MiB at 256 numbers each."""


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
        self._table = np.zeros((rows, 1, self.dim), np.float32)
        self._rows: dict[tuple[int, int], int] = {}
        self._pair = np.zeros((1, 2), np.int32)

    def __getitem__(self, pair: tuple[int, int]) -> NDArray[np.float32]:
        """The prediction, float32 [1, dim], after two labels, the older first."""
        row = self._rows.get(pair)
        if row is None:
            if len(self._rows) == len(self._table):
                # Filling it again costs microseconds an entry; counting its uses would cost more.
                self._rows.clear()
            row = len(self._rows)
            self._pair[0] = pair
            self._table[row] = self._model(self._pair)[0]
            self._rows[pair] = row
        prediction: NDArray[np.float32] = self._table[row]
        return prediction


class Joint:
    """Log-probabilities of the next label.

    Args:
        predictor: See `PredictionTable`.
        joiner: Inputs `encoding` and `prediction` [1, dim], output `logits` [1, labels].
        blank: Index of the blank, which is also what stands before the first label.

    Attributes:
        labels: How many there are, with the blank.
        dim: Numbers in an encoding.
        blank: See above.

    Raises:
        BundleFileError: The models do not fit each other.
    """

    def __init__(self, predictor: Model, joiner: Model, *, blank: int = 0) -> None:
        joiner.require(
            {"encoding": (1, -1), "prediction": (1, -1)},
            {"logits": (1, -1)},
        )
        self.labels = joiner.shape("logits")[1]
        self.dim = joiner.shape("encoding")[1]
        self.blank = blank
        self._predictions = PredictionTable(predictor, self.labels)
        if joiner.shape("prediction")[1] != self._predictions.dim:
            raise BundleFileError(
                f"{predictor.name} and {joiner.name} do not belong together; restore the bundle."
            )
        self._joiner = joiner
        # By position is quicker than by name, and the file decides which one comes first.
        self._encoding_first = joiner.inputs[0] == "encoding"

    def __call__(
        self, encoding: NDArray[np.float32], pair: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Log-probabilities float32 [labels] in a frame, after two labels, the older first."""
        prediction = self._predictions[pair]
        if self._encoding_first:
            (logits,) = self._joiner(encoding, prediction)
        else:
            (logits,) = self._joiner(prediction, encoding)
        # Relative to the largest, so that nothing overflows.
        row: NDArray[np.float32] = logits[0] - logits[0].max()
        row -= np.log(np.exp(row).sum())
        return row
