"""Training weights from a .tflite file: integers times scales.

Batch normalisation is folded into the weights of a file, and so are the statistics of the features.
Here both are taken apart again: the features get the statistics of the new data, and each layer's
normalisation is set to what its outputs look like on a batch of it, so that the network answers as
the file does whether it is trained or asked. The phones are not in the file; they start anew.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agent.errors import BundleFileError
from agent.hearing.features import HOPS_PER_FRAME
from converters.export.graph_reader import Constant, read_constants
from converters.export.quantise import dequantise_rows
from converters.wake.model import Block, Normalised, WakeConfig, WakeModel


def config_of(path: Path) -> WakeConfig:
    """Shape of the network in a file.

    Raises:
        BundleFileError: it is not a wake word that `train-wake` made.
    """
    constants = _constants(path)
    blocks = sum(1 for name in constants if name.endswith(".time.weight"))
    if blocks != len(WakeConfig().dilations):
        raise BundleFileError(f"{path} has {blocks} blocks, not as train-wake makes them.")
    return WakeConfig(channels=constants["stem.weight"].values.shape[0])


def load_file(model: WakeModel, path: Path, frames: Tensor, *, head: bool = True) -> None:
    """Sets a network to what a file holds.

    Args:
        model: its feature statistics are set; everything else is overwritten.
        path: the .tflite file; of the same shape, see `config_of`.
        frames: float32 [streams, frames, 256], typical sound of the training to come.
        head: also the last layer; without it, what the file knows of sounds serves another word.
    """
    constants = _constants(path)
    with torch.no_grad():
        weight, bias = _layer(constants, "stem")
        mean, deviation = (each.repeat(HOPS_PER_FRAME) for each in (model.mean, model.deviation))
        _set(model.stem, weight * deviation, bias + weight @ mean)
        for number, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            _set(block.time, *_layer(constants, f"{number}.time"))
            _set(block.mix, *_layer(constants, f"{number}.mix"))
        if head:
            weight, bias = _layer(constants, "head")
            model.head.weight.copy_(weight)
            model.head.bias.copy_(bias)
        _calibrate(model, frames)


def _constants(path: Path) -> dict[str, Constant]:
    try:
        constants = read_constants(path)
    except (OSError, ValueError, IndexError, TypeError, KeyError, struct.error) as error:
        raise BundleFileError(f"{path} cannot be read as a .tflite file ({error}).") from error
    if "stem.weight" not in constants or "head.weight" not in constants:
        raise BundleFileError(f"{path} is not a wake word that train-wake made.")
    return constants


def _layer(constants: dict[str, Constant], name: str) -> tuple[Tensor, Tensor]:
    weight = dequantise_rows(constants[f"{name}.weight"].values, constants[f"{name}.scale"].values)
    bias = np.ascontiguousarray(constants[f"{name}.bias"].values, np.float32)
    return torch.from_numpy(weight), torch.from_numpy(bias.copy())


def _set(layer: Normalised, weight: Tensor, bias: Tensor) -> None:
    """A layer whose normalisation does nothing but add the bias."""
    mean, variance = layer.norm.running_mean, layer.norm.running_var
    assert mean is not None
    assert variance is not None
    layer.linear.weight.copy_(weight)
    layer.norm.bias.copy_(bias)
    layer.norm.weight.fill_(1.0)
    mean.zero_()
    variance.fill_(1.0 - layer.norm.eps)


def _calibrate(model: WakeModel, frames: Tensor) -> None:
    """Gives each normalisation the statistics of its inputs, and undoes them by gain and shift."""

    def measure(module: torch.nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(module, torch.nn.Linear)
        norm = owners[module]
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        flat = output.flatten(0, -2)
        mean.copy_(flat.mean(0))
        variance.copy_(flat.var(0))
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.add_(mean)

    layers = [module for module in model.modules() if isinstance(module, Normalised)]
    owners = {layer.linear: layer.norm for layer in layers}
    hooks = [layer.linear.register_forward_hook(measure) for layer in layers]
    model.eval()
    try:
        # One pass does: a layer is measured, and set to answer as before, before the next one.
        model(frames)
    finally:
        for hook in hooks:
            hook.remove()
