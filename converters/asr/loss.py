"""The transducer loss (Graves 2012), exact, on any pair of log-probability lattices.

An alignment walks from frame 0 with no labels to the last frame with all labels; at node
(t, u) it either emits blank and moves to (t + 1, u) or emits label u + 1 and moves to
(t, u + 1), and it ends with the blank of (T - 1, U). The loss is minus the log of the summed
probability of all alignments.

Nodes of one anti-diagonal n = t + u depend only on the diagonal before, so the recursion runs
over diagonals with every utterance and every node of the diagonal at once. Forward and
backward variables give the gradient in closed form: minus the probability that an alignment
takes the arc. That same occupancy is what the pruned loss chooses its labels by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from converters.asr import sweeps

IMPOSSIBLE = -1e30
"""Log-probability of what cannot happen: finite, so that differences never become NaN."""


class Alignment(NamedTuple):
    """What the forward-backward recursion finds."""

    loss: Tensor
    """float32 [B], nats."""
    blank: Tensor
    """float32 [B, T, U + 1]: probability that an alignment takes the blank arc of (t, u)."""
    label: Tensor
    """float32 [B, T, U + 1]: probability that it takes the label arc; zero at u = U."""


def _diagonal_index(frames: int, nodes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Frame of node u on diagonal n, [N, U + 1], and whether such a frame exists."""
    diagonal = torch.arange(frames + nodes - 1, device=device)[:, None]
    frame = diagonal - torch.arange(nodes, device=device)[None]
    return frame.clamp(0, frames - 1), (frame >= 0) & (frame < frames)


def forward_backward(blank: Tensor, label: Tensor, frames: Tensor, labels: Tensor) -> Alignment:
    """Loss and arc occupancies of padded lattices.

    Args:
        blank: float32 [B, T, U + 1], log-probability of blank at (t, u).
        label: float32 [B, T, U + 1], log-probability of label u + 1 at (t, u); column U is
            ignored.
        frames: int64 [B], frames of each utterance, at least 1.
        labels: int64 [B], labels of each utterance.

    Returns:
        An `Alignment`; padding has zero occupancy.
    """
    batch, length, nodes = blank.shape
    device = blank.device
    time = torch.arange(length, device=device)[None, :, None]
    position = torch.arange(nodes, device=device)[None, None, :]
    alive = time < frames[:, None, None]
    blank = blank.masked_fill(~(alive & (position <= labels[:, None, None])), IMPOSSIBLE)
    label = label.masked_fill(~(alive & (position < labels[:, None, None])), IMPOSSIBLE)

    frame, exists = _diagonal_index(length, nodes, device)
    diagonals = length + nodes - 1
    # Diagonal first: the loops below then read memory in order.
    index = frame[:, None].expand(-1, batch, -1)
    blanks = blank.transpose(0, 1).gather(0, index).masked_fill_(~exists[:, None], IMPOSSIBLE)
    emits = label.transpose(0, 1).gather(0, index).masked_fill_(~exists[:, None], IMPOSSIBLE)

    rows = torch.arange(batch, device=device)
    last = frames - 1 + labels
    alpha = blank.new_full((diagonals + 1, batch, nodes + 1), IMPOSSIBLE)
    # Column 0 of alpha and the last of beta are sentinels that can never be reached.
    alpha[0, :, 1] = 0.0
    arriving = torch.nn.functional.pad(emits[..., :-1], (1, 0), value=IMPOSSIBLE)
    sweeps.forward(alpha, blanks, arriving)
    ending = blanks[last, rows, labels]
    total = alpha[last, rows, labels + 1] + ending

    beta = blank.new_full((diagonals + 1, batch, nodes + 1), IMPOSSIBLE)
    # The end of an utterance is the blank arc out of its last node, into a node of weight one.
    beta[last + 1, rows, labels] = 0.0
    sweeps.backward(beta, blanks, emits)

    start = alpha[:diagonals, :, 1:] - total[:, None]
    take_blank = (start + blanks).add_(beta[1:, :, :-1]).exp_()
    take_label = (start + emits).add_(beta[1:, :, 1:]).exp_()

    back = (time[0] + position[0])[:, None].expand(-1, batch, -1)
    return Alignment(
        -total,
        take_blank.gather(0, back).transpose(0, 1),
        take_label.gather(0, back).transpose(0, 1),
    )


class _LatticeLoss(torch.autograd.Function):
    """Minus log-likelihood with the closed-form gradient."""

    @staticmethod
    def forward(
        ctx: Any, blank: Tensor, label: Tensor, frames: Tensor, labels: Tensor, early: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        found = forward_backward(blank, label, frames, labels)
        ctx.save_for_backward(found.blank, found.label)
        ctx.early = early
        ctx.mark_non_differentiable(found.blank, found.label)
        return found.loss, found.blank, found.label

    @staticmethod
    def backward(
        ctx: Any, grad_loss: Tensor, _blank: Tensor, _label: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        blank, label = ctx.saved_tensors
        weight = -grad_loss[:, None, None]
        return weight * blank, (1.0 + ctx.early) * weight * label, None, None, None


def lattice_loss(
    blank: Tensor, label: Tensor, frames: Tensor, labels: Tensor, early: float = 0.0
) -> Alignment:
    """`forward_backward` whose loss can be differentiated with respect to both lattices.

    With ``early`` above 0, labels are learnt that much more strongly than blanks, so that they are
    not put off (FastEmit; Yu et al. 2021, arXiv:2010.11148): only the gradient
    changes, not the loss.
    """
    return Alignment(*_LatticeLoss.apply(blank, label, frames, labels, early))


def transducer_loss(logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    """Loss of a full joiner output.

    Args:
        logits: float [B, T, U + 1, V]; label 0 is blank.
        targets: int64 [B, U], padded with anything in range.
        frames: int64 [B].
        labels: int64 [B].

    Returns:
        float32 [B], nats.
    """
    log_probs = logits.float().log_softmax(-1)
    padded = torch.nn.functional.pad(targets, (0, 1))
    wanted = padded[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    label = log_probs.gather(3, wanted).squeeze(3)
    return lattice_loss(log_probs[..., 0], label, frames, labels).loss
