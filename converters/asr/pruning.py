"""The pruned transducer loss (Kuang et al. 2022, arXiv:2206.13236).

The joiner is dear because it looks at every (frame, label) node although alignments pass
through few of them. A *simple* joiner, whose logits are the sum of an acoustic and a label
term, needs no node-wise network: its normaliser is one matrix product. Its own loss trains
it, its occupancies say which window of consecutive labels matters at each frame, and the real
joiner then runs on that window alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from converters.asr.loss import IMPOSSIBLE, Alignment, lattice_loss


def simple_loss(
    acoustic: Tensor,
    linguistic: Tensor,
    targets: Tensor,
    frames: Tensor,
    labels: Tensor,
    early: float = 0.0,
) -> Alignment:
    """Loss of logits[b, t, u] = acoustic[b, t] + linguistic[b, u].

    Args:
        acoustic: float32 [B, T, V].
        linguistic: float32 [B, U + 1, V].
        targets: int64 [B, U].
        frames: int64 [B].
        labels: int64 [B].
        early: see `loss.lattice_loss`.
    """
    peak_a = acoustic.max(-1, keepdim=True).values.detach()
    peak_l = linguistic.max(-1, keepdim=True).values.detach()
    product = torch.matmul((acoustic - peak_a).exp(), (linguistic - peak_l).exp().transpose(1, 2))
    # Peaks of the two terms may lie far apart, then every product underflows.
    normaliser = product.clamp_min(1e-30).log() + peak_a + peak_l.transpose(1, 2)
    blank = acoustic[..., :1] + linguistic[..., 0][:, None] - normaliser
    wanted = torch.nn.functional.pad(targets, (0, 1))
    by_frame = acoustic.gather(2, wanted[:, None].expand(-1, acoustic.shape[1], -1))
    by_label = linguistic.gather(2, wanted[..., None]).squeeze(2)
    return lattice_loss(blank, by_frame + by_label[:, None] - normaliser, frames, labels, early)


def label_windows(occupancy: Tensor, frames: Tensor, labels: Tensor, width: int) -> Tensor:
    """First label position of the window that each frame's joiner looks at.

    Args:
        occupancy: float32 [B, T, U + 1], probability of visiting (t, u).
        frames: int64 [B].
        labels: int64 [B].
        width: positions in a window, at least 2.

    Returns:
        int64 [B, T]: starts that cover the most occupancy, made monotone and overlapping by at
        least one position, so that at least one alignment survives.
    """
    length, nodes = occupancy.shape[1:]
    width = min(width, nodes)
    mass = occupancy.cumsum(-1)
    covered = mass[..., width - 1 :].clone()
    covered[..., 1:] -= mass[..., :-width]
    final = (labels[:, None] - width + 1).clamp_min(0)
    start = torch.minimum(covered.argmax(-1), final).cummax(1).values
    frame = torch.arange(length, device=occupancy.device)
    start = torch.where(frame >= frames[:, None] - 1, final, start)
    # A step of more than width - 1 leaves a label that no frame can emit: raise the earlier
    # starts until no step is longer, but never so that the first label is out of reach.
    reach = (width - 1) * frame
    start = (start - reach).flip(1).cummax(1).values.flip(1) + reach
    return torch.minimum(start, reach)


def scatter_window(values: Tensor, positions: Tensor, nodes: int) -> Tensor:
    """Puts windowed log-probabilities [B, T, S] at their positions in [B, T, nodes]."""
    full = values.new_full((*values.shape[:2], nodes), IMPOSSIBLE)
    return full.scatter(2, positions, values)
