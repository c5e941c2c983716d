"""A joint whose answers are known: what decoders are tested against.

The encoding says which label comes next and how surely; the predictor answers with the label before
last and the last label, and the joiner subtracts ten from a label that was the last one.
"""

from __future__ import annotations

import numpy as np

from agent.bundle.runtime import Model
from converters.export.authoring import GraphAuthor

LABELS = 4


def predictor(dim: int = 2 * LABELS) -> Model:
    """One-hot of the label before last, then of the last one."""
    graph = GraphAuthor("predictor")
    labels = graph.input("labels", [1, 2], "int32")
    table = np.eye(LABELS, dim // 2, dtype=np.float32)
    pair = graph.gather(graph.constant("table", table), labels)
    graph.output("prediction", graph.reshape("flat", pair, [1, dim]))
    return Model(graph.bytes(), name="predictor")


def joiner(*, swapped: bool = False, pairs: int = 1) -> Model:
    """logits = encoding, less 10 for the last label unless it is the blank."""
    graph = GraphAuthor("joiner")
    shapes = {"encoding": [1, 2 * LABELS], "prediction": [pairs, 2 * LABELS]}
    names = reversed(shapes) if swapped else shapes
    inputs = {name: graph.input(name, shapes[name]) for name in names}
    heard = graph.slice("heard", inputs["encoding"], [0, 0], [1, LABELS])
    last = graph.slice("last", inputs["prediction"], [0, LABELS], [pairs, LABELS])
    minus = graph.constant("minus", np.array([[0, -10, -10, -10]], np.float32))
    graph.output("logits", graph.add(heard, graph.mul(last, minus)))
    return Model(graph.bytes(), name="joiner")


def encoding(*logits: float) -> np.ndarray:
    """float32 [1, 8] that makes the joiner answer with these logits."""
    padded = np.zeros((1, 2 * LABELS), np.float32)
    padded[0, :LABELS] = logits
    return padded
