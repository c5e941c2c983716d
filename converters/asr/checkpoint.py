"""Reads what a training run left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from converters.asr.encoder import Shape
from converters.asr.model import Recogniser


def load_recogniser(path: Path) -> Recogniser:
    """The averaged model of a run, in evaluation mode.

    Args:
        path: checkpoint.pt, or the folder that holds it.
    """
    file = path / "checkpoint.pt" if path.is_dir() else path
    state = torch.load(file, map_location="cpu", weights_only=True)
    model = Recogniser(Shape(**state["shape"]))
    model.load_state_dict(state["average"])
    return model.eval()


def trained_scales(path: Path) -> dict[str, NDArray[Any]]:
    """Scales of the matrices that a run trained with four bits, float32 [rows] by parameter name.

    Args:
        path: checkpoint.pt, or the folder that holds it.

    Returns:
        Nothing for a run that trained with more bits.
    """
    file = path / "checkpoint.pt" if path.is_dir() else path
    state = torch.load(file, map_location="cpu", weights_only=True)
    scales = state.get("compression", {}).get("scales", {})
    return {name: values.numpy() for name, values in scales.items()}


def as_arrays(model: Recogniser) -> dict[str, NDArray[Any]]:
    """The state as NumPy arrays by parameter name, which the export takes."""
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
