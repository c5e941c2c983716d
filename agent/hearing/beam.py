"""Streaming beam search over a transducer, with a language model of longer memory.

A hypothesis is a sequence of labels with the summed probability of all its alignments so far. In a
frame, every hypothesis may emit blank, which ends the frame for it, or a label, after which it may
emit again (Graves 2012, with at most a few rounds in a frame). Two ways to the same labels are
added up. Kept are the best few by

    log p(alignments) + weight * sum of gains(label | history)

where a gain says how much likelier a label is for what the predictor does not see
(`language_model.py`). Labels are nodes of a tree, so that hypotheses share what they have in common
and the same labels are the same node.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.hearing.joint import Joint
from agent.hearing.language_model import END, LanguageModel
from agent.hearing.transducer import Token

Floats = NDArray[np.float32]

_ROUNDS = 4
"""Most labels that a hypothesis may emit in one frame of 40 ms."""


@dataclass(eq=False, slots=True)
class Node:
    """A label after the labels of its ancestors."""

    parent: Node | None
    label: int
    frame: int
    """Frame in which it was first emitted."""
    log_prob: float
    """Of the label when it was first emitted."""
    pair: tuple[int, int]
    """The last two labels, the older first: what the predictor sees."""
    history: int = 0
    """What the language model sees."""
    gain: float = 0.0
    """Sum of the weighted gains along the path."""
    children: dict[int, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Hypothesis:
    """Labels and the log-probability of their alignments up to the present frame."""

    node: Node
    log_prob: float

    @property
    def score(self) -> float:
        """By what hypotheses compete."""
        return self.log_prob + self.node.gain


class BeamSearch:
    """Turns encodings into labels, keeping several readings until one wins.

    Args:
        joint: predictor and joiner.
        language: tells what labels follow each other; None leaves the transducer alone.
        weight: how much its gains count.
        width: most hypotheses kept.
        margin: hypotheses whose score is this far behind the best, in nats, are dropped.

    Attributes:
        hypotheses: Best first.
        blank_run: Frames since the last label of the best hypothesis.
    """

    def __init__(
        self,
        joint: Joint,
        language: LanguageModel | None,
        *,
        weight: float = 0.6,
        width: int = 6,
        margin: float = 6.0,
    ) -> None:
        self._joint = joint
        self._language = language
        self._weight = weight
        self._width = width
        self._margin = margin
        self._no_gains = np.zeros(joint.labels, np.float32)
        self.reset()

    def reset(self) -> None:
        """Goes back to the state after construction; tables stay."""
        blank = self._joint.blank
        self.hypotheses = [Hypothesis(Node(None, blank, -1, 0.0, (blank, blank)), 0.0)]
        self.blank_run = 0
        self._tokens: tuple[Node | None, list[Token]] = (None, [])

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the probability of the best hypothesis, blanks included."""
        return self.hypotheses[0].log_prob

    @property
    def tokens(self) -> list[Token]:
        """The labels of the best hypothesis, in order; a later frame may revise them."""
        best = self.hypotheses[0].node
        if self._tokens[0] is not best:
            found: list[Token] = []
            node: Node | None = best
            while node is not None and node.parent is not None:
                found.append(Token(node.label, node.frame, node.log_prob))
                node = node.parent
            self._tokens = (best, found[::-1])
        return self._tokens[1]

    def process(self, encoding: Floats, frame: int) -> int:
        """Decodes a frame.

        Args:
            encoding: float32 [1, dim].
            frame: Its number, noted with the labels.

        Returns:
            How many labels the best hypothesis got in it.
        """
        ended: dict[Node, Hypothesis] = {}
        active = self.hypotheses
        for emitted in range(_ROUNDS + 1):
            rows = [self._joint(encoding, hypothesis.node.pair) for hypothesis in active]
            for hypothesis, row in zip(active, rows, strict=True):
                _add(ended, hypothesis.node, hypothesis.log_prob + float(row[self._joint.blank]))
            if emitted == _ROUNDS:
                break
            bar = max(hypothesis.score for hypothesis in ended.values()) - self._margin
            extended: dict[Node, Hypothesis] = {}
            for hypothesis, row in zip(active, rows, strict=True):
                self._extend(hypothesis, row, frame, bar, extended)
            if not extended:
                break
            active = self._best(extended)
        self.hypotheses = self._best(ended)
        count = 0
        for token in reversed(self.tokens):
            if token.frame != frame:
                break
            count += 1
        self.blank_run = 0 if count else self.blank_run + 1
        return count

    def finish(self) -> None:
        """Says that no label will follow: what seldom ends an utterance loses against what does."""
        if self._language is None:
            return
        for hypothesis in self.hypotheses:
            node = hypothesis.node
            node.gain += self._weight * float(self._language.gains(node.history)[END])
        self.hypotheses.sort(key=lambda h: h.score, reverse=True)

    def _extend(
        self,
        hypothesis: Hypothesis,
        row: Floats,
        frame: int,
        bar: float,
        extended: dict[Node, Hypothesis],
    ) -> None:
        node = hypothesis.node
        gains = self._no_gains
        if self._language is not None:
            gains = self._weight * self._language.gains(node.history)[: self._joint.labels]
        for label in np.flatnonzero(row + gains > bar - hypothesis.score).tolist():
            if label == self._joint.blank:
                continue
            log_prob = float(row[label])
            child = node.children.get(label)
            if child is None:
                history = 0
                if self._language is not None:
                    history = self._language.extend(node.history, label)
                child = node.children[label] = Node(
                    node, label, frame, log_prob, (node.pair[1], label), history,
                    node.gain + float(gains[label]),
                )  # fmt: skip
            _add(extended, child, hypothesis.log_prob + log_prob)

    def _best(self, found: dict[Node, Hypothesis]) -> list[Hypothesis]:
        ranked = sorted(found.values(), key=lambda h: h.score, reverse=True)[: self._width]
        bar = ranked[0].score - self._margin
        return [hypothesis for hypothesis in ranked if hypothesis.score >= bar]


def _add(found: dict[Node, Hypothesis], node: Node, log_prob: float) -> None:
    """Counts another way to the same labels."""
    before = found.get(node)
    if before is None:
        found[node] = Hypothesis(node, log_prob)
    else:
        before.log_prob = float(np.logaddexp(before.log_prob, log_prob))
