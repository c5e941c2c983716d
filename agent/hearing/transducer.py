"""Streaming decoding of a transducer (RNN-T; Graves 2012), greedy.

In every frame the joiner is asked what comes next, given the frame's encoding and what was emitted
before; the best label is emitted and the joiner asked again, until it answers blank.

Greedy decoding never takes a label back: what `tokens` holds is final.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.joint import Joint


@dataclass(frozen=True, slots=True)
class Token:
    """A label that was emitted."""

    label: int
    frame: int
    """Frame in which it was emitted, usually a little after it was spoken."""
    log_prob: float
    """Natural logarithm of its probability at that point of the path."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way to read what was heard."""

    tokens: list[Token]
    log_prob: float
    """Natural logarithm of the probability of its labels, blanks included."""
    score: float
    """By what readings compete: `log_prob` and what the language model adds."""


class Transducer:
    """Turns encodings into labels.

    Args:
        joint: Predictor and joiner.
        max_symbols: Most labels in one frame; the rest waits for the next.

    Attributes:
        tokens: What was emitted, in order.
        log_prob: Natural logarithm of the probability of the whole path, blanks included.
        blank_run: Frames since the last label.
    """

    def __init__(self, joint: Joint, *, max_symbols: int = 10) -> None:
        self._joint = joint
        self._max_symbols = max_symbols
        self.tokens: list[Token] = []
        self.log_prob = 0.0
        self.blank_run = 0
        self._context = (joint.blank, joint.blank)

    def process(self, encoding: NDArray[np.float32], frame: int) -> int:
        """Decodes a frame.

        Args:
            encoding: float32 [1, dim].
            frame: Its number, noted with the labels.

        Returns:
            How many labels were emitted.
        """
        for emitted in range(self._max_symbols):
            row = self._joint(encoding, (self._context,))[0]
            label = int(row.argmax())
            log_prob = float(row[label])
            self.log_prob += log_prob
            if label == self._joint.blank:
                self.blank_run = 0 if emitted else self.blank_run + 1
                return emitted
            self.tokens.append(Token(label, frame, log_prob))
            self._context = (self._context[1], label)
        self.blank_run = 0
        return self._max_symbols

    @property
    def stable(self) -> int:
        """How many of the tokens will not be taken back: all of them."""
        return len(self.tokens)

    def best(self, count: int) -> list[Path]:
        """The readings, best first: one."""
        return [Path(self.tokens, self.log_prob, self.log_prob)][:count]

    def finish(self) -> None:
        """The utterance is over; greedy decoding has nothing left to weigh."""

    def reset(self) -> None:
        """Goes back to the state after construction; the table of predictions stays."""
        self.tokens = []
        self.log_prob = 0.0
        self.blank_run = 0
        self._context = (self._joint.blank, self._joint.blank)
