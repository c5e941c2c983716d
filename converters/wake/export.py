"""The trained network as the .tflite file that runs on the board.

Inputs: ``frame`` [1, 256] and one ``state_<k>`` [1, 2 * dilation * channels] per block, the last
inputs of that block, oldest first. Outputs: ``score`` [1, 1] and ``state_<k>.out``. All states
are zero after a reset, which is what the zero padding of training stands for.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME
from converters.export.authoring import GraphAuthor, Tensor
from converters.wake.model import Block, Normalised, WakeModel

Floats = NDArray[np.float32]


def _folded(layer: Normalised) -> tuple[Floats, Floats]:
    weight, bias = layer.folded()
    return weight.detach().numpy(), bias.detach().numpy()


def _stem(model: WakeModel) -> tuple[Floats, Floats]:
    """The first layer with the normalisation of the features folded in."""
    weight, bias = _folded(model.stem)
    mean = model.mean.numpy()
    deviation = model.deviation.numpy()
    weight = weight / np.tile(deviation, HOPS_PER_FRAME)
    return weight, bias - weight @ np.tile(mean, HOPS_PER_FRAME)


def _block(graph: GraphAuthor, name: str, block: Block, x: Tensor) -> Tensor:
    channels, dilation = x.shape[1], block.dilation
    kept = 2 * dilation * channels
    state = graph.input(f"state_{name}", [1, kept])
    history = graph.concat([state, x], axis=1)
    older = graph.slice(f"{name}.older", history, [0, 0], [1, channels])
    newer = graph.slice(f"{name}.newer", history, [0, dilation * channels], [1, channels])
    shifted = graph.slice(f"{name}.shifted", history, [0, channels], [1, kept])
    graph.output(f"state_{name}.out", shifted)
    joined = graph.concat([older, newer, x], axis=1)
    y = graph.relu(graph.linear(f"{name}.time", joined, *_folded(block.time)))
    return graph.relu(graph.add(x, graph.linear(f"{name}.mix", y, *_folded(block.mix))))


def wake_tflite(model: WakeModel, phrase: str) -> bytes:
    """The .tflite file of a trained model; the same weights always give the same bytes."""
    model.eval()
    with torch.no_grad():
        graph = GraphAuthor(f"wake word: {phrase}")
        frame = graph.input("frame", [1, FRAME_DIM])
        x = graph.relu(graph.linear("stem", frame, *_stem(model)))
        for k, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            x = _block(graph, str(k), block, x)
        head = graph.linear("head", x, model.head.weight.numpy(), model.head.bias.numpy())
        graph.output("score", graph.sigmoid(head))
        return graph.bytes()
