"""The grid of the board's integers, the penalty that holds them, and when to stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent.bundle.manifest import load_bundle
from converters.adaptation.adapted_bundle import write_adapted
from converters.adaptation.choosing import Heard, decide
from converters.adaptation.grid import Place, chosen, integers_of, read_places
from converters.adaptation.importance import exact_loss, importance
from converters.adaptation.material import own_rows
from converters.adaptation.recordings import Recording
from converters.adaptation.tuning import Plan, Tuner
from converters.asr.encoder import Shape
from converters.asr.model import Recogniser
from converters.asr.score import ErrorCounts
from converters.export.bundle import write_models
from converters.export.graph_reader import read_constants
from converters.export.warm_start import read_weights
from tests.converters.adaptation.toy import sung, texts

SHAPE = Shape(hidden=32, layers=2, joint=24, embedding=8, predictor=16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs of a model with random weights."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    model = Recogniser(SHAPE)
    write_models({n: t.detach().numpy() for n, t in model.state_dict().items()}, folder)
    return folder


@pytest.fixture
def model(files: Path) -> Recogniser:
    shape, state = read_weights(files)
    found = Recogniser(shape, 0.0)
    found.load_state_dict(state)
    return found.eval()


def recordings(count: int) -> list[Recording]:
    return [Recording(text, sung(text, 1.0), text) for text in texts(count, 4)]


def test_a_bundles_weights_lie_on_its_own_grid(files: Path, model: Recogniser) -> None:
    places = read_places(files)
    matrices = {
        name
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and "simple" not in name and "phones" not in name
    }
    assert set(places) == matrices - {"predictor.embedding.weight"}
    for name, place in places.items():
        weight = model.get_parameter(name)
        torch.testing.assert_close(place.snap(weight), weight, rtol=0.0, atol=0.0)
        held = read_constants(files / place.file)
        integers = integers_of(model, {name: place})[name]
        by_offset = {constant.offset: constant.values for constant in held.values()}
        np.testing.assert_array_equal(integers, by_offset[place.offset])


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=8, max_size=8), st.booleans())
def test_snapping_gives_what_the_board_can_hold(values: list[float], gates: bool) -> None:
    scales = torch.tensor([[0.01], [0.5], [3.0], [1.0]])
    place = Place("f", 0, scales, gates)
    weight = torch.tensor(values).reshape(4, 2)
    order = [0, 1, 3, 2] if gates else [0, 1, 2, 3]
    snapped = place.snap(weight)
    torch.testing.assert_close(place.snap(snapped), snapped, rtol=0.0, atol=0.0)
    steps = snapped / scales[order]
    torch.testing.assert_close(steps, steps.round())
    assert steps.abs().max() <= 127
    inside = weight.abs() <= 127 * scales[order]
    assert ((weight - snapped).abs() <= 0.5001 * scales[order])[inside].all()


def test_only_chosen_matrices_change(files: Path, model: Recogniser) -> None:
    places = chosen(read_places(files), ["encoder.cells.1", "joiner"])
    assert set(places) == {
        "encoder.cells.1.weight_ih_l0", "encoder.cells.1.weight_hh_l0", "joiner.output.weight",
    }  # fmt: skip
    held = {name: torch.zeros_like(model.get_parameter(name)) for name in places}
    tuner = Tuner(model, places, held, Plan(rate=0.05))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    tuner.step(own_rows(recordings(3), seed=1, budget=200).batch(0))
    after = tuner.rounded().state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(places)
    # The base itself is left as it was.
    assert all(torch.equal(before[name], values) for name, values in model.state_dict().items())


def test_the_penalty_holds_what_matters_and_leaves_the_rest_free(
    files: Path, model: Recogniser
) -> None:
    places = read_places(files)
    free = "encoder.output.weight"
    held = {name: torch.ones_like(model.get_parameter(name)) for name in places}
    held[free] = torch.zeros_like(held[free])
    rows = own_rows(recordings(3), seed=1, budget=200)
    moved = {}
    for strength in (0.0, 1e4):
        tuner = Tuner(model, places, held, Plan(rate=3e-3, strength=strength))
        for step in range(12):
            tuner.step(rows.batch(step))
        after, before = integers_of(tuner.rounded(), places), integers_of(model, places)
        steps = {n: np.abs(after[n].astype(int) - before[n]).mean() for n in places}
        moved[strength] = (steps.pop(free), np.mean(list(steps.values())))
    assert moved[1e4][1] < 0.5 * moved[0.0][1]
    assert moved[1e4][0] > 0.5 * moved[0.0][0]


def test_the_result_is_a_share_of_the_way(files: Path, model: Recogniser) -> None:
    places = read_places(files)
    held = {name: torch.zeros_like(model.get_parameter(name)) for name in places}
    rows = own_rows(recordings(3), seed=1, budget=200)
    before, found = integers_of(model, places), {}
    for share in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        tuner = Tuner(model, places, held, Plan(rate=0.02, share=share))
        for step in range(4):
            tuner.step(rows.batch(step))
        found[share] = integers_of(tuner.rounded(), places)
    for name in places:
        np.testing.assert_array_equal(found[0.0][name], before[name])
        whole = found[1.0][name].astype(float) - before[name]
        half = found[0.5][name].astype(float) - before[name]
        inside = np.abs(found[1.0][name].astype(int)) < 127
        assert (np.abs(half - whole / 2)[inside] <= 0.76).all()
        assert np.abs(whole).max() >= 2


def test_importance_is_the_mean_squared_gradient(files: Path, model: Recogniser) -> None:
    rng = np.random.default_rng(0)
    examples = [
        (torch.from_numpy(rng.normal(-7.0, 2.0, (8 + k, 256)).astype(np.float32)),
         torch.tensor([3, 4 + k]))
        for k in range(2)
    ]  # fmt: skip
    name = "joiner.output.weight"
    found = importance(model, [name], examples)[name]
    # By small differences, at a few weights.
    weight = model.get_parameter(name).data
    for place in [(0, 0), (3, 5), (5, 20)]:
        squares = []
        for frames, labels in examples:
            losses = []
            for shift in (1e-2, -1e-2):
                weight[place] += shift
                with torch.no_grad():
                    loss = exact_loss(
                        model, frames[None], None, torch.zeros(1, dtype=torch.long),
                        labels[None], torch.tensor([2]),
                    )  # fmt: skip
                losses.append(float(loss[0]) / 3)
                weight[place] -= shift
            squares.append(((losses[0] - losses[1]) / 2e-2) ** 2)
        assert float(found[place]) == pytest.approx(np.mean(squares), rel=0.05, abs=1e-7)


def test_an_adapted_bundle_differs_in_integers_alone(toy_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(toy_bundle)
    places = read_places(toy_bundle)
    shape, state = read_weights(toy_bundle)
    model = Recogniser(shape)
    model.load_state_dict(state)
    integers = integers_of(model, places)
    write_adapted(bundle, tmp_path / "same", places, integers)
    for path in toy_bundle.rglob("*"):
        if path.is_file():
            copied = tmp_path / "same" / path.relative_to(toy_bundle)
            assert copied.read_bytes() == path.read_bytes(), path
    name = "encoder.cells.0.weight_hh_l0"
    integers[name][3, 2] = -integers[name][3, 2] + 1
    write_adapted(bundle, tmp_path / "other", places, integers)
    other = load_bundle(tmp_path / "other")
    file = places[name].file
    old, new = (np.frombuffer((d / file).read_bytes(), np.int8) for d in
                (toy_bundle, other.directory))  # fmt: skip
    columns = integers[name].shape[1]
    assert np.flatnonzero(old != new).tolist() == [places[name].offset + 3 * columns + 2]


def heard(words: int, characters: int) -> Heard:
    return Heard(ErrorCounts(words, 20), ErrorCounts(characters, 100))


@pytest.mark.parametrize(
    ("curve", "steps"),
    [
        ({10: heard(9, 30), 20: heard(7, 20), 30: heard(8, 25)}, 20),
        ({10: heard(9, 20), 20: heard(9, 20)}, 10),
        ({10: heard(11, 20), 20: heard(10, 35)}, 20),
        ({10: heard(10, 40), 20: heard(12, 39)}, 0),
        ({}, 0),
    ],
    ids=["fewest characters", "the earliest of equals", "no words lost", "no help", "no look"],
)
def test_when_to_stop(curve: dict[int, Heard], steps: int) -> None:
    found = decide(heard(10, 40), curve)
    assert found.steps == steps
    assert found.after == (curve[steps] if steps else heard(10, 40))
