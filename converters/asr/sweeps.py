"""The two recursions of the transducer loss over anti-diagonals, each in place.

A GPU would spend its time on starting some thousand tiny operations; there, one program per row
walks along all diagonals instead (`cuda_sweeps.py`). PyTorch brings the compiler for it along.
"""

from __future__ import annotations

import torch
from torch import Tensor


def forward(alpha: Tensor, blanks: Tensor, arriving: Tensor) -> None:
    """Fills in alpha[1:] from alpha[0].

    Args:
        alpha: float32 [N + 1, B, U + 2], natural logarithms; column 0 is never reached.
        blanks: float32 [N, B, U + 1], of the blank arcs that leave diagonal n.
        arriving: float32 [N, B, U + 1], of the label arcs that leave diagonal n for node u.
    """
    if alpha.is_cuda:
        from converters.asr import cuda_sweeps

        cuda_sweeps.forward(alpha, blanks, arriving)
        return
    for n in range(len(blanks)):
        stay = alpha[n, :, 1:] + blanks[n]
        move = alpha[n, :, :-1] + arriving[n]
        torch.logaddexp(stay, move, out=alpha[n + 1, :, 1:])


def backward(beta: Tensor, blanks: Tensor, emits: Tensor) -> None:
    """Fills in what leads to the nodes of weight one.

    Args:
        beta: float32 [N + 1, B, U + 2], natural logarithms; the last column is never reached.
        blanks: float32 [N, B, U + 1], of the blank arcs that leave diagonal n.
        emits: float32 [N, B, U + 1], of the label arcs that leave node u of diagonal n.
    """
    if beta.is_cuda:
        from converters.asr import cuda_sweeps

        cuda_sweeps.backward(beta, blanks, emits)
        return
    for n in range(len(blanks) - 1, -1, -1):
        stay = beta[n + 1, :, :-1] + blanks[n]
        move = beta[n + 1, :, 1:] + emits[n]
        beta[n, :, :-1] = torch.maximum(beta[n, :, :-1], torch.logaddexp(stay, move))
