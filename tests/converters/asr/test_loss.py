"""The transducer loss against an enumeration of all alignments."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from converters.asr.loss import forward_backward, lattice_loss, transducer_loss
from converters.asr.pruning import label_windows, scatter_window, simple_loss


def enumerated_loss(logits: Tensor, targets: list[int], frames: int) -> Tensor:
    """Sums every alignment by itself: which frame emits which label, in all possible ways."""
    log_probs = logits.log_softmax(-1)
    paths = []
    for emitted_at in itertools.combinations_with_replacement(range(frames), len(targets)):
        score, u = log_probs.new_zeros(()), 0
        for t in range(frames):
            while u < len(targets) and emitted_at[u] == t:
                score = score + log_probs[t, u, targets[u]]
                u += 1
            score = score + log_probs[t, u, 0]
        paths.append(score)
    return -torch.logsumexp(torch.stack(paths), 0)


CASES = {
    "one frame, no label": (1, 0),
    "one frame, three labels": (1, 3),
    "no label": (4, 0),
    "more frames than labels": (5, 3),
    "more labels than frames": (2, 4),
}


@pytest.mark.parametrize(("frames", "labels"), CASES.values(), ids=CASES.keys())
def test_equals_enumeration(frames: int, labels: int) -> None:
    generator = torch.Generator().manual_seed(frames * 10 + labels)
    # Padding around the utterance must not matter.
    logits = torch.randn(1, frames + 2, labels + 2, 5, generator=generator, requires_grad=True)
    targets = torch.randint(1, 5, (1, labels + 1), generator=generator)
    loss = transducer_loss(logits, targets, torch.tensor([frames]), torch.tensor([labels]))
    expected = enumerated_loss(logits[0], targets[0, :labels].tolist(), frames)
    torch.testing.assert_close(loss[0], expected)
    (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-4)


def test_by_hand() -> None:
    # Two frames, one label, blank and label equally likely everywhere: each of the two
    # alignments (label at frame 0 or 1) takes three arcs of one half, so the sum is 2/8.
    half = torch.full((1, 2, 2), 0.5).log()
    found = forward_backward(half, half, torch.tensor([2]), torch.tensor([1]))
    torch.testing.assert_close(found.loss, torch.tensor([0.25]).log().neg())
    # Each alignment is as likely: the label is emitted at either frame half of the time, and
    # the last blank, after the label, is certain.
    torch.testing.assert_close(found.label[0, :, 0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(found.blank[0, 1], torch.tensor([0.0, 1.0]))


def test_labels_may_be_preferred_to_blanks() -> None:
    # The lattice by hand: each alignment takes the label arc of one of two frames; the blank arcs
    # (0, 0) and (0, 1) are taken half of the time each, (1, 1) always, (1, 0) never.
    half = torch.full((1, 2, 2), 0.5).log()
    blank, label = half.clone().requires_grad_(), half.clone().requires_grad_()
    found = lattice_loss(blank, label, torch.tensor([2]), torch.tensor([1]), early=0.5)
    torch.testing.assert_close(found.loss.detach(), torch.tensor([0.25]).log().neg())
    found.loss.sum().backward()
    assert blank.grad is not None
    assert label.grad is not None
    torch.testing.assert_close(blank.grad[0], torch.tensor([[-0.5, -0.5], [0.0, -1.0]]))
    torch.testing.assert_close(label.grad[0], torch.tensor([[-0.75, 0.0], [-0.75, 0.0]]))


def test_batch_equals_single_utterances() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 6, 4, 5, generator=generator)
    targets = torch.randint(1, 5, (3, 3), generator=generator)
    frames, labels = torch.tensor([6, 3, 1]), torch.tensor([3, 1, 2])
    together = transducer_loss(logits, targets, frames, labels)
    for i in range(3):
        alone = transducer_loss(
            logits[i : i + 1, : frames[i], : labels[i] + 1], targets[i : i + 1, : labels[i]],
            frames[i : i + 1], labels[i : i + 1],
        )  # fmt: skip
        torch.testing.assert_close(alone[0], together[i])


def test_simple_loss_is_the_loss_of_summed_logits() -> None:
    generator = torch.Generator().manual_seed(4)
    acoustic, linguistic = (torch.randn(2, n, 5, generator=generator) for n in (5, 4))
    targets = torch.randint(1, 5, (2, 3), generator=generator)
    frames, labels = torch.tensor([5, 3]), torch.tensor([3, 2])
    full = transducer_loss(acoustic[:, :, None] + linguistic[:, None], targets, frames, labels)
    torch.testing.assert_close(
        simple_loss(acoustic, linguistic, targets, frames, labels).loss, full
    )


def test_windows_follow_the_occupancy() -> None:
    # Four labels, window of two positions; all alignments pass (0,0) (1,1) (2,2) (3,3) (4,4).
    occupancy = torch.eye(5)[None]
    starts = label_windows(occupancy, torch.tensor([5]), torch.tensor([4]), 2)
    assert starts.tolist() == [[0, 0, 1, 2, 3]]


@pytest.mark.parametrize("seed", range(20))
def test_windows_always_leave_an_alignment(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch, length, nodes, width = 4, 9, 8, 3
    occupancy = torch.rand(batch, length, nodes, generator=generator) ** 8
    frames = torch.randint(5, length + 1, (batch,), generator=generator)
    labels = torch.randint(0, nodes, (batch,), generator=generator)
    starts = label_windows(occupancy, frames, labels, width)
    positions = starts[..., None] + torch.arange(width)
    arcs = scatter_window(torch.zeros(batch, length, width), positions, nodes)
    found = forward_backward(arcs, arcs, frames, labels)
    # An impossible lattice would have a loss near 1e30.
    assert float(found.loss.max()) < 1e3


def test_full_window_is_the_exact_loss() -> None:
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(1, 6, 4, 5, generator=generator)
    targets = torch.randint(1, 5, (1, 3), generator=generator)
    frames, labels = torch.tensor([6]), torch.tensor([3])
    starts = label_windows(torch.rand(1, 6, 4, generator=generator), frames, labels, 9)
    assert starts.tolist() == [[0] * 6]
    assert torch.isfinite(transducer_loss(logits, targets, frames, labels)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_finds_the_same_alignment() -> None:
    chance = torch.Generator().manual_seed(4)
    blank = -3.0 * torch.rand(3, 40, 33, generator=chance)
    label = -3.0 * torch.rand(3, 40, 33, generator=chance)
    frames, labels = torch.tensor([40, 31, 2]), torch.tensor([32, 5, 0])
    here = forward_backward(blank, label, frames, labels)
    there = forward_backward(blank.cuda(), label.cuda(), frames.cuda(), labels.cuda())
    for own, found in zip(here, there, strict=True):
        torch.testing.assert_close(found.cpu(), own, rtol=1e-4, atol=1e-4)
