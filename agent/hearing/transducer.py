"""Streaming decoding of a transducer (RNN-T; Graves 2012), greedy.

In every frame the joiner is asked what comes next, given the frame's encoding and what was emitted
before; the best label is emitted and the joiner asked again, until it answers blank. The predictor
sees only the last two labels (a stateless one; Ghodsi et al. 2020), so what it answers is kept in a
table by those two and is hardly ever computed twice.

Greedy decoding never takes a label back: what `tokens` holds is final.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.bundle.runtime import Model
from agent.errors import BundleFileError

MOST_PREDICTIONS = 4096
"""Rows of the table: all pairs of up to 64 labels, 4 MiB at 256 numbers each."""


@dataclass(frozen=True, slots=True)
class Token:
    """A label that was emitted."""

    label: int
    frame: int
    """Frame in which it was emitted, usually a little after it was spoken."""
    log_prob: float
    """Natural logarithm of its probability at that point of the path."""


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


class Transducer:
    """Turns encodings into labels.

    Args:
        predictor: See `PredictionTable`.
        joiner: Inputs `encoding` and `prediction` [1, dim], output `logits` [1, labels].
        blank: Index of the blank, which is also what stands before the first label.
        max_symbols: Most labels in one frame; the rest waits for the next.

    Attributes:
        tokens: What was emitted, in order.
        log_prob: Natural logarithm of the probability of the whole path, blanks included.
        blank_run: Frames since the last label.

    Raises:
        BundleFileError: The models do not fit each other.
    """

    def __init__(
        self, predictor: Model, joiner: Model, *, blank: int = 0, max_symbols: int = 10
    ) -> None:
        joiner.require(
            {"encoding": (1, -1), "prediction": (1, -1)},
            {"logits": (1, -1)},
        )
        self.labels = joiner.shape("logits")[1]
        self.dim = joiner.shape("encoding")[1]
        self._predictions = PredictionTable(predictor, self.labels)
        if joiner.shape("prediction")[1] != self._predictions.dim:
            raise BundleFileError(
                f"{predictor.name} and {joiner.name} do not belong together; restore the bundle."
            )
        self._joiner = joiner
        # By position is quicker than by name, and the file decides which one comes first.
        self._encoding_first = joiner.inputs[0] == "encoding"
        self._blank = blank
        self._max_symbols = max_symbols
        self.tokens: list[Token] = []
        self.log_prob = 0.0
        self.blank_run = 0
        self._context = (blank, blank)
        self._prediction = self._predictions[self._context]

    def process(self, encoding: NDArray[np.float32], frame: int) -> int:
        """Decodes a frame.

        Args:
            encoding: float32 [1, dim].
            frame: Its number, noted with the labels.

        Returns:
            How many labels were emitted.
        """
        for emitted in range(self._max_symbols):
            if self._encoding_first:
                (logits,) = self._joiner(encoding, self._prediction)
            else:
                (logits,) = self._joiner(self._prediction, encoding)
            row = logits[0]
            label = int(row.argmax())
            best = row[label]
            # log softmax of the largest logit: the others relative to it, so nothing overflows.
            log_prob = -float(np.log(np.exp(row - best).sum()))
            self.log_prob += log_prob
            if label == self._blank:
                self.blank_run = 0 if emitted else self.blank_run + 1
                return emitted
            self.tokens.append(Token(label, frame, log_prob))
            self._context = (self._context[1], label)
            self._prediction = self._predictions[self._context]
        self.blank_run = 0
        return self._max_symbols

    def reset(self) -> None:
        """Goes back to the state after construction; the table of predictions stays."""
        self.tokens = []
        self.log_prob = 0.0
        self.blank_run = 0
        self._context = (self._blank, self._blank)
        self._prediction = self._predictions[self._context]
