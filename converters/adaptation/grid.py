"""The integers of a bundle's recogniser as what training may change, and nothing else.

An overlay changes int8 weights and no scale, bias or norm, so that it fits every release of the
same layout. Training therefore keeps, for each matrix, a latent float copy, and gives the model
the nearest weights that the board can hold:

    model = scale × clip(round(latent / scale), -127, 127)

The gradient at those weights moves the latent copy (Courbariaux et al. 2015, arXiv:1511.00363):
what is learnt is what will run, and a change too small for a step of the grid changes no byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from converters.export.graph_reader import read_constants

LARGEST = 127
_FILES = ("encoder_slow.tflite", "predictor.tflite", "joiner.tflite")
_NAMES = {
    "encoder_slow.tflite": {"input": "encoder.input", "output": "encoder.output"},
    "predictor.tflite": {"hidden": "predictor.hidden", "output": "predictor.output"},
    "joiner.tflite": {"logits": "joiner.output"},
}


@dataclass(frozen=True)
class Place:
    """Where the integers of one parameter lie, and how large a step of them is."""

    file: str
    offset: int
    """Bytes from the start of the file to the first integer."""
    scales: Tensor
    """float32 [rows, 1], in the order of the file."""
    gates: bool
    """An LSTM's matrix: the file's gates are i, f, o, g and PyTorch's i, f, g, o."""

    def reorder(self, values: Tensor) -> Tensor:
        """Rows from the order of PyTorch to that of the file, or back: the same exchange."""
        if not self.gates:
            return values
        i, f, third, fourth = values.chunk(4)
        return torch.cat((i, f, fourth, third))

    def integers(self, weight: Tensor) -> Tensor:
        """float32 whole numbers [rows, columns] nearest to a weight, in PyTorch's order."""
        steps = torch.round(weight / self.reorder(self.scales))
        return steps.clamp(-LARGEST, LARGEST)

    def snap(self, weight: Tensor) -> Tensor:
        """The nearest weight that the board can hold."""
        return self.integers(weight) * self.reorder(self.scales)


def read_places(bundle: Path) -> dict[str, Place]:
    """The int8 matrices of a bundle's recogniser, by the parameter of `Recogniser` they hold."""
    places = {}
    for file in _FILES:
        constants = read_constants(bundle / file)
        for name, constant in constants.items():
            if not name.endswith(".weight") or constant.values.dtype != np.int8:
                continue
            stem = name.removesuffix(".weight")
            scales = torch.from_numpy(constants[f"{stem}.scale"].values.astype(np.float32))
            parameter = _parameter(file, stem)
            places[parameter] = Place(
                file, constant.offset, scales.reshape(-1, 1), stem.startswith("lstm")
            )
    return places


def _parameter(file: str, stem: str) -> str:
    if stem.startswith("lstm"):
        layer, _, side = stem.removeprefix("lstm").partition(".")
        return f"encoder.cells.{layer}.weight_{'ih' if side == 'x' else 'hh'}_l0"
    return f"{_NAMES[file][stem]}.weight"


def chosen(places: Mapping[str, Place], prefixes: Iterable[str]) -> dict[str, Place]:
    """The places of the parameters whose names begin with one of the prefixes."""
    wanted = tuple(prefixes)
    return {name: place for name, place in places.items() if name.startswith(wanted)}


def integers_of(model: nn.Module, places: Mapping[str, Place]) -> dict[str, NDArray[np.int8]]:
    """What the board would hold of a model, int8 [rows, columns] in the order of the files."""
    found = {}
    for name, place in places.items():
        values = place.reorder(place.integers(model.get_parameter(name).detach()))
        found[name] = values.numpy().astype(np.int8)
    return found
