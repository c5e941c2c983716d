"""What the encoder does to its frames before the first layer, and what it must not see."""

from __future__ import annotations

import math

import pytest
import torch

from converters.asr.encoder import LEVEL_DECAY, QUIETEST_LEVEL, Shape, level, running_mean
from converters.asr.model import Recogniser
from converters.synthesis.phones import PHONES

SMALL = Shape(hidden=16, layers=2, joint=16, embedding=8, predictor=8)


def test_level_follows_the_loudest_frame_and_falls_slowly() -> None:
    means = torch.tensor([-20.0, -3.0, -9.0, -1.0, -9.0])
    found = level(means[None, :, None].expand(1, 5, 256))[0, :, 0]
    expected = [QUIETEST_LEVEL, -3.0, -3.0 - LEVEL_DECAY, -1.0, -1.0 - LEVEL_DECAY]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_gain_of_a_voice_does_not_matter() -> None:
    torch.manual_seed(0)
    model = Recogniser(SMALL).eval()
    frames = torch.randn(1, 20, 256) - 3.0
    with torch.no_grad():
        loud, quiet = model.encoder(frames), model.encoder(frames - 2.0)
    torch.testing.assert_close(loud, quiet, atol=1e-4, rtol=1e-4)


def test_running_mean_by_hand() -> None:
    hops = torch.zeros(1, 2, 4, 64)
    hops[0, 0, 0] = 4.0  # mean of the first frame's four hops: 1
    hops[0, 1] = 3.0
    found = running_mean(hops, torch.full((64,), 2.0))
    # Prior of 25 frames of 2: (50 + 1) / 26, then (50 + 1 + 3) / 27.
    torch.testing.assert_close(found[0, 0, 0], torch.full((64,), 51.0 / 26.0))
    torch.testing.assert_close(found[0, 1, 0], torch.full((64,), 2.0))


def test_no_frame_sees_a_later_one() -> None:
    torch.manual_seed(0)
    model = Recogniser(SMALL).eval()
    frames = torch.randn(1, 30, 256)
    changed = frames.clone()
    changed[:, 20:] += 5.0
    with torch.no_grad():
        before, after = model.encoder(frames), model.encoder(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


def test_context_is_left_out_of_the_loss() -> None:
    torch.manual_seed(0)
    model = Recogniser(SMALL, dropout=0.0).eval()
    frames = torch.randn(1, 40, 256)
    targets, labels = torch.tensor([[5, 6]]), torch.tensor([2])
    with torch.no_grad():
        phones = torch.full((1, 40, 4), -1)
        simple, pruned, heard, *_ = model(
            frames, None, torch.tensor([10]), targets, labels, phones
        )
        encoded = model.encoder(frames)[:, 10:]
        whole = model.joiner(encoded[:, :, None], model.predictor.along(targets)[:, None])
        from converters.asr.loss import transducer_loss

        exact = transducer_loss(whole, targets, torch.tensor([30]), labels)
    # Three label positions fit into the window of five, so pruning leaves nothing out.
    torch.testing.assert_close(pruned, exact, atol=1e-3, rtol=1e-4)
    assert torch.isfinite(simple).all()
    assert heard.tolist() == [0.0]


def test_phone_loss_by_hand() -> None:
    torch.manual_seed(0)
    model = Recogniser(SMALL, dropout=0.0).eval()
    frames = torch.randn(1, 3, 256)
    # All-zero logits give every one of the 40 phones the same chance.
    torch.nn.init.zeros_(model.phones.weight)
    torch.nn.init.zeros_(model.phones.bias)
    phones = torch.tensor([[[1, 1, 2, 2], [3, 3, 3, 3], [4, 4, -1, -1]]])
    with torch.no_grad():
        simple, pruned, heard, *_ = model(
            frames, None, torch.zeros(1, dtype=torch.long), torch.tensor([[5]]),
            torch.tensor([1]), phones, transduce=False,
        )  # fmt: skip
    # Two known frames and a half.
    assert heard.item() == pytest.approx(2.5 * math.log(len(PHONES)), rel=1e-5)
    assert simple.tolist() == pruned.tolist() == [0.0]
