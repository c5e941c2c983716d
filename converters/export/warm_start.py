"""Training weights from a bundle: integers times scales.

The bundle is the checkpoint that survives. What only training needs (the simple joiner of the
pruned loss) is not in it and starts anew; its warm-up steps find it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.hearing.features import HOPS_PER_FRAME, MELS
from converters.asr.encoder import PRIOR_FRAMES, Shape
from converters.asr.model import Recogniser
from converters.export.graph_reader import Constant, read_constants
from converters.export.quantise import dequantise_rows

_Constants = dict[str, Constant]


def read_weights(bundle: Path) -> tuple[Shape, dict[str, Tensor]]:
    """Shape and full state of the recogniser that a bundle holds.

    Args:
        bundle: folder with encoder_slow.tflite, predictor.tflite and joiner.tflite.

    Returns:
        The shape, and a state that `Recogniser.load_state_dict` takes.
    """
    encoder = read_constants(bundle / "encoder_slow.tflite")
    predictor = read_constants(bundle / "predictor.tflite")
    joiner = read_constants(bundle / "joiner.tflite")
    layers = sum(1 for name in encoder if name.startswith("lstm") and name.endswith(".x.weight"))
    shape = Shape(
        hidden=encoder["input.weight"].values.shape[0],
        layers=layers,
        joint=encoder["output.weight"].values.shape[0],
        embedding=predictor["embedding"].values.shape[1],
        predictor=predictor["hidden.weight"].values.shape[0],
    )
    state = Recogniser(shape).state_dict()
    found: dict[str, NDArray[Any]] = {
        "encoder.mean": encoder["features.prior"].values / PRIOR_FRAMES,
        "encoder.deviation": 1.0 / _hop(encoder["features.inverse_deviation"].values),
        **_linear(encoder, "input", "encoder.input"),
        **_linear(encoder, "output", "encoder.output"),
        **_norm(encoder, "final_norm", "encoder.final_norm"),
        "predictor.embedding.weight": predictor["embedding"].values,
        **_linear(predictor, "hidden", "predictor.hidden"),
        **_linear(predictor, "output", "predictor.output"),
        **_linear(joiner, "logits", "joiner.output"),
    }
    for layer in range(layers):
        found |= _norm(encoder, f"norm{layer}", f"encoder.norms.{layer}")
        found |= _cell(encoder, layer)
    for name, values in found.items():
        state[name] = torch.from_numpy(np.ascontiguousarray(values, np.float32).copy())
    return shape, state


def _hop(values: NDArray[Any]) -> NDArray[Any]:
    """The 64 bands of a constant that repeats them for every hop."""
    return values.reshape(HOPS_PER_FRAME, MELS)[0]


def _matrix(constants: _Constants, name: str) -> NDArray[np.float32]:
    return dequantise_rows(constants[f"{name}.weight"].values, constants[f"{name}.scale"].values)


def _linear(constants: _Constants, name: str, target: str) -> dict[str, NDArray[Any]]:
    return {
        f"{target}.weight": _matrix(constants, name),
        f"{target}.bias": constants[f"{name}.bias"].values,
    }


def _norm(constants: _Constants, name: str, target: str) -> dict[str, NDArray[Any]]:
    return {
        f"{target}.weight": constants[f"{name}.gain"].values,
        f"{target}.bias": constants[f"{name}.shift"].values,
    }


def _cell(constants: _Constants, layer: int) -> dict[str, NDArray[Any]]:
    """Gates back from the order of the file (i, f, o, g) to PyTorch's (i, f, g, o)."""

    def gates(values: NDArray[Any]) -> NDArray[Any]:
        i, f, o, g = np.split(values, 4)
        return np.concatenate([i, f, g, o])

    target = f"encoder.cells.{layer}"
    bias = constants[f"lstm{layer}.x.bias"].values
    return {
        f"{target}.weight_ih_l0": gates(_matrix(constants, f"lstm{layer}.x")),
        f"{target}.weight_hh_l0": gates(_matrix(constants, f"lstm{layer}.h")),
        f"{target}.bias_ih_l0": gates(bias),
        f"{target}.bias_hh_l0": np.zeros_like(bias),
    }
