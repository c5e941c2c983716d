from __future__ import annotations

import numpy as np
import pytest
import torch

from agent.bundle.runtime import Model
from converters.wake.export import wake_tflite
from converters.wake.judging import file_scores
from converters.wake.model import WakeConfig, WakeModel, scores


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(4)
    model = WakeModel(WakeConfig(24))
    frames = 4.0 * torch.randn(8, 120, 256) - 6.0
    model.set_feature_statistics(torch.full((64,), -6.0), torch.linspace(3.0, 5.0, 64))
    torch.nn.init.normal_(model.head.weight, std=1.5)
    torch.nn.init.zeros_(model.head.bias)
    model.train()
    for _ in range(30):  # running means and variances that are not trivial
        model(frames + torch.randn_like(frames))
    return model.eval()


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(5)
    return (4.0 * rng.standard_normal((250, 256)) - 6.0).astype(np.float32)


def test_nothing_looks_ahead(model, frames):
    whole = scores(model, torch.from_numpy(frames[None]))
    changed = frames.copy()
    changed[100:] = 0.0
    cut = scores(model, torch.from_numpy(changed[None]))
    assert torch.allclose(whole[0, :100], cut[0, :100], atol=1e-6)


def test_a_score_sees_exactly_its_context(model, frames):
    context = model.config.context_frames
    assert context == 37
    changed = frames[:60].copy()
    changed[10] += 20.0
    a = scores(model, torch.from_numpy(frames[None, :60]))[0]
    b = scores(model, torch.from_numpy(changed[None]))[0]
    different = torch.nonzero(a != b).flatten().tolist()
    assert min(different) == 10
    assert max(different) == 10 + context - 1


def test_folding_the_normalisation_changes_nothing(model):
    layer = model.stem
    x = torch.randn(2, 7, 256)
    weight, bias = layer.folded()
    assert torch.allclose(layer(x), x @ weight.T + bias, atol=1e-5)


def test_the_file_streams_to_the_scores_of_the_network(model, frames):
    expected = scores(model, torch.from_numpy(frames[None]))[0].numpy()
    assert expected.max() - expected.min() > 0.5  # there is something to compare
    found = file_scores(Model(wake_tflite(model, "toy")), frames)
    # Fourteen products in a row, each with int8 weights and int8 activations: in log odds, 5 % of
    # their spread is what that rounding adds up to (measured: 2 to 3 %).
    wanted, got = _log_odds(expected), _log_odds(found)
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.05 * wanted.std()
    assert np.abs(got - wanted).max() < 0.25 * wanted.std()


def test_decisions_of_file_and_network_are_equal_where_the_score_is_clear(model, frames):
    expected = scores(model, torch.from_numpy(frames[None]))[0].numpy()
    found = file_scores(Model(wake_tflite(model, "toy")), frames)
    clear = np.abs(_log_odds(expected)) > 0.25 * _log_odds(expected).std()
    assert clear.mean() > 0.7
    assert np.array_equal(found[clear] > 0.5, expected[clear] > 0.5)


def _log_odds(p):
    p = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(p / (1 - p))


def test_the_same_weights_give_the_same_bytes(model):
    assert wake_tflite(model, "toy") == wake_tflite(model, "toy")


def test_a_reset_forgets_the_past(model, frames):
    file = Model(wake_tflite(model, "toy"))
    first = file_scores(file, frames[:50])
    file_scores(file, frames[50:])
    assert np.array_equal(file_scores(file, frames[:50]), first)


def test_the_shipped_width_stays_below_150_kilobytes():
    assert len(wake_tflite(WakeModel(WakeConfig()), "computer")) < 150_000
