"""Four bits and packed files, from a training run to the runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agent.bundle.packed import inflate
from agent.bundle.runtime import Model
from converters.asr.checkpoint import as_arrays, load_recogniser, trained_scales
from converters.asr.compression import Compression
from converters.asr.encoder import Shape
from converters.asr.model import Recogniser
from converters.asr.schedule import Schedule
from converters.asr.train import Trainer
from converters.export.bundle import write_models
from converters.export.graph_reader import read_constants
from converters.export.packing import pack_models
from converters.export.quantise import Arrays, best_scales, four_bits, is_coarse, on_grid
from converters.export.warm_start import read_weights

SHAPE = Shape(hidden=64, layers=2, joint=48, embedding=16, predictor=24)


@pytest.fixture
def weights() -> Arrays:
    torch.manual_seed(0)
    model = Recogniser(SHAPE).eval()
    model.encoder.mean.normal_(-7.0, 1.0)
    model.encoder.deviation.uniform_(2.0, 4.0)
    return as_arrays(model)


def test_scales_by_hand() -> None:
    # Seven and its like need no other scale; a row of zeros has 1.
    rows = np.array([[7.0, -3.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(best_scales(rows, 4), [1.0, 1.0])
    np.testing.assert_array_equal(on_grid(rows, best_scales(rows, 4), 4), rows)
    # One large weight among many small ones: 0.4 is the least share that is tried.
    row = np.full((1, 4001), 0.4, np.float32)
    row[0, 0] = 7.0
    assert best_scales(row, 4)[0] == pytest.approx(0.4, rel=1e-6)
    assert on_grid(row, best_scales(row, 4), 4)[0, 0] == pytest.approx(2.8, rel=1e-6)


def test_scales_leave_no_more_error_than_the_largest_weight_would(weights: Arrays) -> None:
    for name in filter(is_coarse, weights):
        weight = weights[name]
        whole = (np.abs(weight).max(axis=1) / 7).astype(np.float32)
        errors = [
            np.square(on_grid(weight, scales, 4) - weight).sum(axis=1)
            for scales in (best_scales(weight, 4), whole)
        ]
        assert (errors[0] <= errors[1]).all()
        assert errors[0].sum() < 0.95 * errors[1].sum()


@torch.no_grad()
def test_the_runtime_multiplies_what_four_bits_stand_for(weights: Arrays, tmp_path: Path) -> None:
    coarse = four_bits(weights)
    layout = write_models(coarse, tmp_path)
    held = read_constants(tmp_path / "encoder_slow.tflite")
    assert int(np.abs(held["lstm1.h.weight"].values).max()) == 7
    assert int(np.abs(held["input.weight"].values).max()) == 127
    marked = {entry.tensor for entry in layout if entry.tensor.endswith("/4")}
    assert marked == {f"lstm{layer}.{side}.weight/4" for layer in range(2) for side in "xh"}
    # The same model in float, with the very weights of four bits.
    model = Recogniser(SHAPE).eval()
    state = {name: torch.from_numpy(coarse[name]) for name in model.state_dict()}
    model.load_state_dict(state)
    frames = np.random.default_rng(0).normal(-7.0, 3.0, (40, 256)).astype(np.float32)
    wanted = model.encoder(torch.from_numpy(frames)[None])[0].numpy()
    streamed = Model(tmp_path / "encoder_slow.tflite")
    found = np.concatenate([streamed(frame[None])[0] for frame in frames])
    error = np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean())
    assert error < 0.05


def test_packing_changes_no_byte_and_training_can_begin_there(
    weights: Arrays, tmp_path: Path
) -> None:
    layout = write_models(four_bits(weights), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.tflite")}
    shape, state = read_weights(tmp_path)
    packed = {entry.path: entry for entry in pack_models(tmp_path, layout)}
    assert packed.keys() == {path.name for path in before}
    for path, content in before.items():
        assert inflate(path.read_bytes(), path.name) == content
        assert packed[path.name].packed == path.stat().st_size < len(content)
    # Four bits of uniform weights are log2(15) bits.
    assert packed["encoder_slow.tflite"].packed < 0.6 * packed["encoder_slow.tflite"].bytes
    other_shape, other = read_weights(tmp_path)
    assert other_shape == shape
    # What only training uses is in no bundle.
    stored = [n for n in state if n.startswith(("encoder", "predictor", "joiner"))]
    assert all(torch.equal(other[name], state[name]) for name in stored)


def test_the_export_takes_the_scales_that_training_had(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, SHAPE, Schedule(steps=1), compression=Compression(bits=4))
    trainer.save()
    assert trained_scales(tmp_path) == {}
    compressor = trainer._compressor  # a step would need a batch
    with compressor.applied(0, 0.0):
        pass
    trainer.save()
    scales = trained_scales(tmp_path)
    latent = as_arrays(load_recogniser(tmp_path))
    assert scales.keys() == {name for name in latent if is_coarse(name)}
    coarse = four_bits(latent, scales)
    for name, parameter in trainer.model.named_parameters():
        if is_coarse(name):
            np.testing.assert_array_equal(coarse[name], parameter.detach().numpy())
