"""Grids and zeros in training: what is learnt is what the export writes."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.asr.compression import Compression, add_options, chosen
from converters.asr.compressor import Compressor
from converters.asr.encoder import Shape
from converters.asr.model import Recogniser
from converters.asr.quantisation import Grid, stored_matrices
from converters.asr.sparsity import Pruner, prunable, share_of_zeros, smallest_blocks
from converters.asr.train import Trainer
from converters.export.quantise import dequantise_rows, is_coarse, on_grid, quantise_rows
from tests.converters.asr.test_training import SCHEDULE, toy_rows

torch.set_num_threads(1)
SMALL = Shape(hidden=32, layers=2, joint=32, embedding=16, predictor=16)


@pytest.fixture
def model() -> Recogniser:
    torch.manual_seed(0)
    return Recogniser(SMALL)


def gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def learn(model: nn.Module, wanted: Compression, steps: int, towards: Tensor) -> Compressor:
    """Plain gradient steps of every LSTM matrix towards a value."""
    compressor = Compressor(model, wanted)
    for step in range(steps):
        model.zero_grad()
        with compressor.applied(step, step / steps):
            loss = torch.stack([(p - towards).square().sum() for _, p in prunable(model)]).sum()
            loss.backward()
        with torch.no_grad():
            for _, parameter in prunable(model):
                parameter.sub_(0.02 * gradient(parameter))
        compressor.settle(model)
    return compressor


def test_the_grid_of_eight_bits_is_that_of_the_export(model: Recogniser) -> None:
    grid = Grid(8)
    names = [name for name, _ in stored_matrices(model)]
    assert {"encoder.cells.0.weight_hh_l0", "joiner.output.weight"} <= set(names)
    assert not [n for n in names if "embedding" in n or n.startswith(("phones", "simple"))]
    for name, weight in stored_matrices(model):
        values = weight.detach()
        wanted = dequantise_rows(*quantise_rows(values.numpy()))
        np.testing.assert_array_equal(grid.snap(name, values).numpy(), wanted)


def test_four_bits_take_the_scales_of_the_export_in_the_lstm_layers_alone(
    model: Recogniser,
) -> None:
    grid = Grid(4)
    grid.refresh(model)
    for name, weight in stored_matrices(model):
        snapped = grid.snap(name, weight.detach()).numpy()
        assert (name in grid.scales) == is_coarse(name)
        if is_coarse(name):
            scales = grid.scales[name].numpy()
            np.testing.assert_array_equal(snapped, on_grid(weight.detach().numpy(), scales, 4))
            assert len(np.unique(np.rint(snapped[0] / scales[0]))) <= 15


def test_a_row_of_zeros_stays_one() -> None:
    weight = torch.zeros(2, 8)
    weight[1, 3] = 1.27
    assert torch.equal(Grid(8).snap("x", weight), weight)
    assert not Grid(8).pull("x", weight)[0].any()


def test_the_pull_leads_to_the_nearest_point_and_stops_there() -> None:
    # One row whose scale is 1.27 / 127 = 0.01: points are hundredths.
    weight = torch.tensor([[1.27, 0.012, 0.018, 0.02, -0.012]])
    pull = Grid(8).pull("x", weight)[0]
    # A step against the gradient takes 0.012 down to 0.01 and 0.018 up to 0.02.
    assert torch.equal(torch.sign(pull[[1, 2, 4]]), torch.tensor([1.0, -1.0, -1.0]))
    assert pull.abs().max() <= 1.0
    # A quarter of a step from a point, the slope is cos(pi / 4).
    near = Grid(8).pull("x", torch.tensor([[1.27, 0.0125]]))[0, 1]
    assert float(near) == pytest.approx(np.cos(np.pi / 4), abs=1e-3)


def test_gradients_are_those_of_the_rounded_weights_and_move_the_others(
    model: Recogniser,
) -> None:
    before = {name: p.detach().clone() for name, p in stored_matrices(model)}
    compressor = Compressor(model, Compression(bits=4))
    with compressor.applied(0, 0.0):
        seen = {name: p.detach().clone() for name, p in stored_matrices(model)}
        torch.stack([p.square().sum() for _, p in stored_matrices(model)]).sum().backward()
    assert not torch.equal(seen["encoder.cells.0.weight_hh_l0"],
                           before["encoder.cells.0.weight_hh_l0"])  # fmt: skip
    for name, parameter in stored_matrices(model):
        assert torch.equal(parameter, before[name])
        torch.testing.assert_close(gradient(parameter), 2 * seen[name])


def test_weights_return_even_if_a_step_fails(model: Recogniser) -> None:
    before = model.get_parameter("encoder.cells.0.weight_hh_l0").detach().clone()
    with pytest.raises(KeyboardInterrupt), Compressor(model, Compression(bits=8)).applied(0, 0.0):
        raise KeyboardInterrupt
    assert torch.equal(model.get_parameter("encoder.cells.0.weight_hh_l0"), before)


def test_the_regulariser_brings_weights_to_their_grid(model: Recogniser) -> None:
    def distance(found: nn.Module, grid: Grid) -> float:
        parts = [
            ((p - grid.snap(n, p)) / grid.scales[n][:, None]).abs().clamp_max(0.5).mean()
            for n, p in found.named_parameters()
            if is_coarse(n)
        ]
        return float(torch.stack(parts).mean().detach())

    compressor = Compressor(model, Compression(bits=4, grid_weight=1.0))
    grid = Grid(4)
    grid.refresh(model)
    begin = distance(model, grid)
    for _ in range(60):
        model.zero_grad()
        with compressor.applied(1, 1.0):
            torch.stack([p.sum() for _, p in prunable(model)]).sum().mul(0.0).backward()
        with torch.no_grad():
            for _, parameter in prunable(model):
                parameter.sub_(1e-3 * gradient(parameter))
    # Uniform within a cell, the mean distance to its point is a quarter of a step.
    assert begin == pytest.approx(0.25, abs=0.04)
    assert distance(model, grid) < 0.08


def test_the_cubic_schedule_by_hand() -> None:
    assert share_of_zeros(0.8, 0.0, 0.1, 0.6) == 0.0
    # Halfway through the ramp an eighth is left to do: 0.8 * (1 - 0.5 ** 3).
    assert share_of_zeros(0.8, 0.35, 0.1, 0.6) == pytest.approx(0.7)
    assert share_of_zeros(0.8, 0.9, 0.1, 0.6) == 0.8


def test_the_smallest_blocks_go_first() -> None:
    weight = torch.tensor([[9.0, 1.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0]])
    assert smallest_blocks(weight, 0.25, (1, 1)).tolist() == [
        [True, True, True, True], [False, False, True, True],
    ]  # fmt: skip
    # Mean magnitudes of the two blocks of 2 x 2 are 2.5 both; of 1 x 2: 5, 2 and 0, 3.
    assert smallest_blocks(weight, 0.5, (1, 2)).tolist() == [
        [True, True, False, False], [False, False, True, True],
    ]  # fmt: skip


@pytest.mark.parametrize("block", [(1, 1), (1, 4), (4, 4)])
def test_pruning_reaches_its_goal_and_zeros_stay_zero(
    model: Recogniser, block: tuple[int, int]
) -> None:
    wanted = Compression(sparsity=0.75, block=block)
    learn(model, wanted, 60, torch.tensor(0.5))
    for _, parameter in prunable(model):
        weight = parameter.detach()
        assert float((weight == 0).float().mean()) == 0.75
        rows, columns = weight.shape
        blocks = weight.reshape(rows // block[0], block[0], columns // block[1], block[1])
        empty = (blocks == 0).all(3).all(1).float().mean()
        assert float(empty) == 0.75
        # The others went on learning.
        assert float((weight[weight != 0] - 0.5).abs().max()) < 0.2


def test_zeros_and_scales_survive_a_restart(model: Recogniser) -> None:
    wanted = Compression(bits=4, sparsity=0.5)
    first = learn(model, wanted, 60, torch.tensor(0.5))
    second = Compressor(model, wanted)
    second.resume(first.state())
    before = {name: p.detach() == 0 for name, p in prunable(model)}
    with second.applied(61, 1.0):
        torch.stack([p.sum() for _, p in prunable(model)]).sum().backward()
    for name, parameter in prunable(model):
        assert torch.equal(parameter == 0, before[name])
        assert not gradient(parameter)[before[name]].any()
        assert torch.equal(second.state()["scales"][name], first.state()["scales"][name])


def test_blocks_that_do_not_fit_are_refused(model: Recogniser) -> None:
    with pytest.raises(ValueError, match="choose smaller blocks"):
        Pruner(model, 0.5, (64, 1), (0.0, 1.0))


def test_options() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert chosen(parser.parse_args([])) == Compression()
    args = parser.parse_args("--bits 4 --grid-weight 0.01 --sparsity 0.75 --block 4x4".split())
    assert chosen(args) == Compression(bits=4, grid_weight=0.01, sparsity=0.75, block=(4, 4))
    for bad in ("4", "0x4", "x", "4x-1"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--block", bad])


def test_nothing_asked_for_changes_nothing(model: Recogniser) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    compressor = Compressor(model, Compression())
    with compressor.applied(0, 0.5):
        pass
    compressor.settle(model)
    assert compressor.as_exported(model) is model
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_whole_training_with_few_bits_and_zeros(tmp_path: Path) -> None:
    wanted = Compression(bits=4, grid_weight=1e-3, sparsity=0.5)
    schedule = dataclasses.replace(SCHEDULE, steps=60)
    trainer = Trainer(tmp_path, SMALL, schedule, dropout=0.0, compression=wanted)
    rows = toy_rows()
    losses = [trainer.step(rows.batch(step))["simple"] for step in range(60)]
    assert trainer.finished
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    for name, parameter in prunable(trainer.model):
        weight = parameter.detach().numpy()
        # Few bits round some more weights to zero.
        assert float((weight == 0).mean()) >= 0.5
        assert max(len(np.unique(row)) for row in weight) <= 15, name
