"""Streaming beam search over a transducer, with a language model of longer memory.

A reading is a sequence of labels with the summed probability of all its alignments so far. In a
frame, every reading may emit blank, which ends the frame for it, or a label, after which it may
emit again (Graves 2012, with at most a few rounds in a frame). Two ways to the same labels are
added up. Kept are the best few by

    log p(alignments) + weight * sum of gains(label | history)

where a gain says how much likelier a label is for what the predictor does not see
(`language_model.py`). Labels are nodes of a tree, so that readings share what they have in common
and the same labels are the same node. What all readings begin with is cut off from the tree from
time to time and kept as a list, so that an hour of speech needs no more memory than a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.hearing.joint import Pair
from agent.hearing.transducer import Path, Token

Floats = NDArray[np.float32]

_ROUNDS = 4
"""Most labels that a reading may emit in one frame of 40 ms."""
_FRAMES_UNTIL_SETTLED = 25


class NextLabel(Protocol):
    """What tells the log-probabilities of the next label: `joint.Joint`, or a model in training."""

    labels: int
    """How many there are, with the blank."""
    blank: int

    def __call__(self, encoding: Floats, pairs: Sequence[Pair], /) -> Floats:
        """float32 [n, labels], in a frame with the encoding [1, dim], after n pairs of labels."""


class LabelModel(Protocol):
    """What tells which labels follow each other, such as `language_model.LanguageModel`."""

    end: int
    """Where the gain of saying nothing more stands."""

    def gains(self, history: int, /) -> Floats:
        """float32: what each label gains after a history, in nats."""

    def extend(self, history: int, label: int, /) -> int:
        """The history after one more label; 0 is the one at the start."""


@dataclass(eq=False, slots=True)
class Node:
    """A label after the labels of its ancestors."""

    parent: Node | None
    """None for the root, whose own label is settled."""
    label: int
    depth: int
    """Labels up to and with this one."""
    frame: int
    """Frame in which it was first emitted."""
    log_prob: float
    """Of the label when it was first emitted."""
    pair: Pair
    """The last two labels: what the predictor sees."""
    history: int
    """What the language model sees."""
    gain: float
    """Sum of the weighted gains along the path."""
    gains: Floats | None = None
    """Weighted gain of each label that may follow, float32 [labels]; looked up when asked for."""
    children: dict[int, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """Labels, and the log-probability of their alignments up to the present frame."""

    node: Node
    log_prob: float

    @property
    def score(self) -> float:
        """By what readings compete."""
        return self.log_prob + self.node.gain


class BeamSearch:
    """Turns encodings into labels, keeping several readings until one wins.

    Args:
        joint: Predictor and joiner.
        language: Tells which labels follow each other; None leaves the transducer alone.
        weight: How much its gains count.
        width: Most readings kept.
        margin: Readings whose score is this far behind the best, in nats, are dropped.
        least: Labels that the transducer finds less likely than this in a frame, in nats, are not
            tried, whatever the language model says: they cost time and hardly ever win.

    Attributes:
        readings: Best first.
        blank_run: Frames since the last label of the best reading.
    """

    def __init__(
        self,
        joint: NextLabel,
        language: LabelModel | None,
        *,
        weight: float = 0.6,
        width: int = 48,
        margin: float = 10.0,
        least: float = -6.0,
    ) -> None:
        self._joint = joint
        self._language = language
        self._weight = np.float32(weight)
        self._width = width
        self._margin = margin
        self._least = least
        self._no_gains = np.zeros(joint.labels, np.float32)
        self.reset()

    def reset(self) -> None:
        """Goes back to the state after construction; tables stay."""
        blank = self._joint.blank
        root = Node(None, blank, 0, -1, 0.0, (blank, blank), 0, 0.0)
        self.readings = [Reading(root, 0.0)]
        self.blank_run = 0
        self._settled: list[Token] = []
        self._frames = 0

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the probability of the best reading, blanks included."""
        return self.readings[0].log_prob

    @property
    def tokens(self) -> list[Token]:
        """The labels of the best reading, in order; a later frame may revise them."""
        return self._settled + path(self.readings[0].node)

    @property
    def stable(self) -> int:
        """How many tokens of the best reading all others begin with, too: these stay."""
        return self._shared().depth

    def best(self, count: int) -> list[Path]:
        """The readings, best first."""
        return [
            Path(self._settled + path(reading.node), reading.log_prob, reading.score)
            for reading in self.readings[:count]
        ]

    def process(self, encoding: Floats, frame: int) -> int:
        """Decodes a frame.

        Args:
            encoding: float32 [1, dim].
            frame: Its number, noted with the labels.

        Returns:
            How many labels the best reading got in it.
        """
        ended: dict[Node, float] = {}
        active = self.readings
        bar = -np.inf
        for emitted in range(_ROUNDS + 1):
            rows = self._joint(encoding, [reading.node.pair for reading in active])
            before = np.array([reading.log_prob for reading in active])[:, None]
            reached = rows + before
            blanks = reached[:, self._joint.blank].tolist()
            for reading, log_prob in zip(active, blanks, strict=True):
                _add(ended, reading.node, log_prob)
                bar = max(bar, log_prob + reading.node.gain - self._margin)
            if emitted == _ROUNDS:
                break
            active = self._extended(active, rows, reached, frame, bar)
            if not active:
                break
        self.readings = self._best(ended)
        count = 0
        node: Node | None = self.readings[0].node
        while node is not None and node.frame == frame:
            count, node = count + 1, node.parent
        self.blank_run = 0 if count else self.blank_run + 1
        self._frames += 1
        if self._frames % _FRAMES_UNTIL_SETTLED == 0:
            self._settle()
        return count

    def finish(self) -> None:
        """Says that no label will follow: what seldom ends an utterance loses against what does."""
        if self._language is None:
            return
        for reading in self.readings:
            ending = self._language.gains(reading.node.history)[self._language.end]
            reading.node.gain += float(self._weight * ending)
        self.readings.sort(key=lambda reading: reading.score, reverse=True)

    def _shared(self) -> Node:
        """The last label that all readings have in common."""
        known = {reading.node for reading in self.readings}
        while len(known) > 1:
            deepest = max(node.depth for node in known)
            known = {
                node.parent if node.depth == deepest and node.parent is not None else node
                for node in known
            }
        return known.pop()

    def _settle(self) -> None:
        """Lets go of everything that no reading can take back."""
        root = self._shared()
        self._settled += path(root)
        root.parent = None

    def _gains(self, node: Node) -> Floats:
        """What may follow a node; most nodes are given up before anybody asks."""
        if node.gains is None:
            node.gains = self._no_gains
            if self._language is not None:
                gains = self._language.gains(node.history)[: self._joint.labels]
                node.gains = self._weight * gains
        return node.gains

    def _extended(
        self,
        active: list[Reading],
        rows: Floats,
        reached: NDArray[np.float64],
        frame: int,
        bar: float,
    ) -> list[Reading]:
        """Every reading one label longer, as far as it has a chance; the best of them.

        Args:
            active: n readings.
            rows: What may follow each, float32 [n, labels].
            reached: The same with the readings' own log-probabilities.
            frame: Number of the frame.
            bar: The least score that has a chance.
        """
        gains = np.array([self._gains(reading.node) for reading in active])
        gains += np.array([reading.node.gain for reading in active], np.float32)[:, None]
        promising = (reached + gains > bar) & (rows > self._least)
        promising[:, self._joint.blank] = False
        extended: dict[Node, float] = {}
        for row, label in np.argwhere(promising).tolist():
            node = active[row].node
            child = node.children.get(label)
            if child is None:
                child = self._child(node, label, frame, rows[row, label], gains[row, label])
                node.children[label] = child
            _add(extended, child, float(reached[row, label]))
        return self._best(extended) if extended else []

    def _child(
        self, node: Node, label: int, frame: int, log_prob: np.float32, gain: np.float32
    ) -> Node:
        history = 0 if self._language is None else self._language.extend(node.history, label)
        pair = (node.pair[1], label)
        depth = node.depth + 1
        return Node(node, label, depth, frame, float(log_prob), pair, history, float(gain))

    def _best(self, found: dict[Node, float]) -> list[Reading]:
        ranked = [Reading(node, log_prob) for node, log_prob in found.items()]
        if len(ranked) > 1:
            ranked.sort(key=lambda reading: reading.score, reverse=True)
        bar = ranked[0].score - self._margin
        return [reading for reading in ranked[: self._width] if reading.score >= bar]


def path(node: Node | None) -> list[Token]:
    """The labels from the first one to a node."""
    found: list[Token] = []
    while node is not None and node.parent is not None:
        found.append(Token(node.label, node.frame, node.log_prob))
        node = node.parent
    return found[::-1]


def _add(found: dict[Node, float], node: Node, log_prob: float) -> None:
    """Counts another way to the same labels."""
    before = found.get(node)
    found[node] = log_prob if before is None else float(np.logaddexp(before, log_prob))
