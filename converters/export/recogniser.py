"""The recogniser's three graphs: encoder, predictor, joiner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.export.authoring import GraphAuthor, Tensor

Weights = dict[str, NDArray[Any]]
"""A `converters.asr.model.Recogniser` state as arrays, by parameter name.

Matrices of four bits bring their scales along: `converters.export.quantise.four_bits`."""

LAYER_NORM_EPSILON = 1e-5
QUIETEST_LEVEL, LEVEL_DECAY, PRIOR_FRAMES = -8.0, 0.02, 25.0
"""As in `converters.asr.model`, which this module does not import: it needs no PyTorch."""


def layer_count(weights: Weights) -> int:
    """How many LSTM layers the encoder has."""
    return sum(1 for n in weights if n.startswith("encoder.cells.") and n.endswith("weight_ih_l0"))


def encoder_file(weights: Weights) -> bytes:
    """``frame`` [1, 256] and the states of all layers to ``encoding`` [1, joint].

    Each LSTM gate matrix
    keeps its input and its recurrent half apart, because the two inputs are quantised on the
    fly and the layer norm's output spans several times the range of a hidden state.
    """
    layers, hidden = layer_count(weights), weights["encoder.input.weight"].shape[0]
    graph = GraphAuthor("streaming transducer encoder")
    frame = graph.input("frame", [1, FRAME_DIM])
    state_h = graph.input("state_h", [layers, hidden])
    state_c = graph.input("state_c", [layers, hidden])
    x, carried = _normalised(graph, frame, weights)
    x = graph.linear("input", x, weights["encoder.input.weight"], weights["encoder.input.bias"])
    hiddens, cells = [], []
    for layer in range(layers):
        gain, shift = (weights[f"encoder.norms.{layer}.{part}"] for part in ("weight", "bias"))
        normal = graph.layer_norm(f"norm{layer}", x, gain, shift, LAYER_NORM_EPSILON)
        before_h = graph.slice(f"h{layer}", state_h, [layer, 0], [1, hidden])
        before_c = graph.slice(f"c{layer}", state_c, [layer, 0], [1, hidden])
        after_h, after_c = _lstm(graph, layer, normal, before_h, before_c, weights)
        hiddens.append(after_h)
        cells.append(after_c)
        x = graph.add(x, after_h)
    gain, shift = (weights[f"encoder.final_norm.{part}"] for part in ("weight", "bias"))
    x = graph.layer_norm("final_norm", x, gain, shift, LAYER_NORM_EPSILON)
    encoding = graph.linear(
        "output", x, weights["encoder.output.weight"], weights["encoder.output.bias"]
    )
    graph.output("encoding", encoding)
    for name, tensor in carried.items():
        graph.output(name, tensor)
    graph.output("state_h.out", graph.concat(hiddens, 0))
    graph.output("state_c.out", graph.concat(cells, 0))
    return graph.bytes()


def _normalised(
    graph: GraphAuthor, frame: Tensor, weights: Weights
) -> tuple[Tensor, dict[str, Tensor]]:
    """The frame without its level and without the mean spectrum heard so far, over deviations.

    The float counterpart is `converters.asr.encoder.running_mean`; what is carried is the sum of
    all frames and their number.
    """
    relative, level = _without_level(graph, frame, graph.input("state_level", [1, 1]))
    hops = [
        graph.slice(f"hop{k}", relative, [0, k * MELS], [1, MELS]) for k in range(HOPS_PER_FRAME)
    ]
    together = graph.add(graph.add(hops[0], hops[1]), graph.add(hops[2], hops[3]))
    share = graph.constant("mean.share", _floats([1.0 / HOPS_PER_FRAME]))
    total = graph.add(graph.input("state_sum", [1, MELS]), graph.mul(together, share))
    heard = graph.add(
        graph.input("state_heard", [1, 1]), graph.constant("mean.one", _floats([1.0]))
    )
    prior = graph.constant("features.prior", _floats(PRIOR_FRAMES * weights["encoder.mean"]))
    weight = graph.add(heard, graph.constant("mean.weight", _floats([PRIOR_FRAMES])))
    mean = graph.div(graph.add(total, prior), weight)
    centred = graph.sub(relative, graph.concat([mean] * HOPS_PER_FRAME, 1))
    inverse = np.tile(1.0 / weights["encoder.deviation"], HOPS_PER_FRAME)
    x = graph.mul(centred, graph.constant("features.inverse_deviation", _floats(inverse)))
    return x, {"state_level.out": level, "state_sum.out": total, "state_heard.out": heard}


def _without_level(graph: GraphAuthor, frame: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The frame minus `converters.asr.encoder.level`, and the level to carry.

    What is carried is the level above the quietest one, so that a state of zeros is a silent
    past. Maxima are written as a + relu(b - a), which every runtime has.
    """
    here = graph.add(
        graph.mean("level", frame), graph.constant("level.above", _floats([-QUIETEST_LEVEL]))
    )
    faded = graph.add(before, graph.constant("level.decay", _floats([-LEVEL_DECAY])))
    after = graph.relu(graph.add(here, graph.relu(graph.sub(faded, here))))
    level = graph.add(after, graph.constant("level.quietest", _floats([QUIETEST_LEVEL])))
    return graph.sub(frame, level), after


def _lstm(
    graph: GraphAuthor, layer: int, x: Tensor, h: Tensor, c: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """One step of one layer; gates are reordered so that the three sigmoids are neighbours."""
    prefix = f"encoder.cells.{layer}."
    n = h.shape[1]

    def gates(name: str) -> NDArray[Any]:
        i, f, g, o = np.split(weights[prefix + name], 4)
        return np.concatenate([i, f, o, g])

    bias = gates("bias_ih_l0") + gates("bias_hh_l0")

    def scales(name: str) -> NDArray[Any] | None:
        return gates(f"{name}.scales") if f"{prefix}{name}.scales" in weights else None

    heard = graph.linear(f"lstm{layer}.x", x, gates("weight_ih_l0"), bias, scales("weight_ih_l0"))
    kept = graph.linear(f"lstm{layer}.h", h, gates("weight_hh_l0"), scales=scales("weight_hh_l0"))
    total = graph.add(heard, kept)
    sigmoids = graph.sigmoid(graph.slice(f"lstm{layer}.ifo", total, [0, 0], [1, 3 * n]))
    candidate = graph.tanh(graph.slice(f"lstm{layer}.g", total, [0, 3 * n], [1, n]))
    i, f, o = (
        graph.slice(f"lstm{layer}.{gate}", sigmoids, [0, k * n], [1, n])
        for k, gate in enumerate("ifo")
    )
    after_c = graph.add(graph.mul(f, c), graph.mul(i, candidate))
    return graph.mul(o, graph.tanh(after_c)), after_c


def predictor_file(weights: Weights) -> bytes:
    """``labels`` int32 [1, 2] to ``prediction`` [1, joint]."""
    graph = GraphAuthor("transducer predictor over two labels")
    labels = graph.input("labels", [1, 2], "int32")
    table = graph.constant("embedding", _floats(weights["predictor.embedding.weight"]))
    pair = graph.gather(table, labels)
    flat = graph.reshape("pair", pair, [1, pair.shape[1] * pair.shape[2]])
    hidden = graph.relu(graph.linear(
        "hidden", flat, weights["predictor.hidden.weight"], weights["predictor.hidden.bias"]
    ))  # fmt: skip
    prediction = graph.linear(
        "output", hidden, weights["predictor.output.weight"], weights["predictor.output.bias"]
    )
    graph.output("prediction", prediction)
    return graph.bytes()


def joiner_file(weights: Weights, pairs: int = 1) -> bytes:
    """``encoding`` [1, joint] and ``prediction`` [pairs, joint] to ``logits`` [pairs, labels].

    A beam search asks for many readings of the same frame: answering all of them in one call costs
    little more than answering one.
    """
    graph = GraphAuthor("transducer joiner")
    joint = weights["joiner.output.weight"].shape[1]
    encoding = graph.input("encoding", [1, joint])
    prediction = graph.input("prediction", [pairs, joint])
    met = graph.tanh(graph.add(encoding, prediction))
    logits = graph.linear(
        "logits", met, weights["joiner.output.weight"], weights["joiner.output.bias"]
    )
    graph.output("logits", logits)
    return graph.bytes()


def _floats(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
