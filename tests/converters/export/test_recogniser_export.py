"""The exported graphs against PyTorch, and the way back from a bundle to training weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agent.bundle.runtime import Model
from converters.asr.encoder import Shape
from converters.asr.model import Recogniser
from converters.export.graph_reader import read_constants
from converters.export.quantise import dequantise_rows, quantise_rows
from converters.export.recogniser import encoder_file, joiner_file, predictor_file
from converters.export.warm_start import read_weights

torch.set_num_threads(1)
SHAPE = Shape(hidden=64, layers=2, joint=48, embedding=16, predictor=24)


@pytest.fixture
def model() -> Recogniser:
    torch.manual_seed(0)
    found = Recogniser(SHAPE).eval()
    found.encoder.mean.normal_(-7.0, 1.0)
    found.encoder.deviation.uniform_(2.0, 4.0)
    return found


@pytest.fixture
def files(model: Recogniser, tmp_path: Path) -> Path:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    (tmp_path / "encoder_slow.tflite").write_bytes(encoder_file(weights))
    (tmp_path / "predictor.tflite").write_bytes(predictor_file(weights))
    (tmp_path / "joiner.tflite").write_bytes(joiner_file(weights))
    return tmp_path


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean()))


@torch.no_grad()
def test_streaming_int8_encoder_follows_the_float_one(model: Recogniser, files: Path) -> None:
    frames = np.random.default_rng(0).normal(-7.0, 3.0, (50, 256)).astype(np.float32)
    wanted = model.encoder(torch.from_numpy(frames)[None])[0].numpy()
    streamed = Model(files / "encoder_slow.tflite")
    found = np.concatenate([streamed(frame[None])[0] for frame in frames])
    # int8 weights and activations: about 1.5 % in a trained model, more in a tiny random one.
    assert relative(found, wanted) < 0.05
    streamed.reset()
    again = np.concatenate([streamed(frame[None])[0] for frame in frames])
    np.testing.assert_array_equal(found, again)


@torch.no_grad()
def test_predictor_and_joiner(model: Recogniser, files: Path) -> None:
    predictor, joiner = Model(files / "predictor.tflite"), Model(files / "joiner.tflite")
    rng = np.random.default_rng(1)
    for pair in ([0, 0], [0, 5], [28, 1]):
        wanted = model.predictor(torch.tensor([pair])).numpy()
        (found,) = predictor(np.array([pair], np.int32))
        assert relative(found, wanted) < 0.05
        encoding = rng.normal(0, 1, (1, 48)).astype(np.float32)
        logits = model.joiner(torch.from_numpy(encoding), torch.from_numpy(wanted)).numpy()
        (found,) = joiner(encoding=encoding, prediction=wanted)
        assert relative(found, logits) < 0.05


def test_export_is_deterministic_and_offsets_depend_on_the_shape_alone(
    model: Recogniser, files: Path
) -> None:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert encoder_file(weights) == (files / "encoder_slow.tflite").read_bytes()
    other = {name: values * 0.5 for name, values in weights.items()}
    (files / "other.tflite").write_bytes(encoder_file(other))
    before = read_constants(files / "encoder_slow.tflite")
    after = read_constants(files / "other.tflite")
    assert {n: c.offset for n, c in before.items()} == {n: c.offset for n, c in after.items()}
    # Half the weights: the same integers, half the scales.
    np.testing.assert_array_equal(
        before["lstm0.x.weight"].values, after["lstm0.x.weight"].values
    )


@torch.no_grad()
def test_training_from_a_bundle_begins_as_the_bundle(model: Recogniser, files: Path) -> None:
    shape, state = read_weights(files)
    assert (shape.hidden, shape.layers, shape.joint) == (64, 2, 48)
    found = Recogniser(shape).eval()
    found.load_state_dict(state)
    weights = {name: tensor.numpy() for name, tensor in found.state_dict().items()}
    # Exported again it is the bundle, byte for byte: the first evaluation is the bundle's.
    assert encoder_file(weights) == (files / "encoder_slow.tflite").read_bytes()
    assert predictor_file(weights) == (files / "predictor.tflite").read_bytes()
    assert joiner_file(weights) == (files / "joiner.tflite").read_bytes()


def test_rows_are_quantised_by_themselves() -> None:
    weight = np.array([[1.27, -0.635, 0.0], [0.0, 0.0, 0.0], [-254.0, 2.0, 1.0]])
    integers, scales = quantise_rows(weight)
    np.testing.assert_allclose(scales, [0.01, 1.0, 2.0], rtol=1e-6)
    # -63.5 and 0.5 are ties, which go to the even integer.
    assert integers.tolist() == [[127, -64, 0], [0, 0, 0], [-127, 1, 0]]
    error = np.abs(dequantise_rows(integers, scales) - weight)
    assert (error <= scales[:, None] / 2 + 1e-6).all()
