"""The recursions of `sweeps.py` as GPU programs: one per row, one thread per few nodes.

What a diagonal needs of the one before goes through memory, which the threads of one program see
after a barrier.
"""

# The compiler of these programs takes no annotations but its own.
# ruff: noqa: ANN001, ANN202

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _log_add(a, b):  # type: ignore[no-untyped-def]
    high = tl.maximum(a, b)
    return high + tl.log(1.0 + tl.exp(tl.minimum(a, b) - high))


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    alpha, blanks, arriving, diagonals, batch, nodes, BLOCK: tl.constexpr
):
    row = tl.program_id(0)
    u = tl.arange(0, BLOCK)
    real = u < nodes
    for n in tl.range(0, diagonals, num_stages=1):
        arcs = (n * batch + row) * nodes + u
        here = alpha + (n * batch + row) * (nodes + 1) + u
        stay = tl.load(here + 1, real, 0.0) + tl.load(blanks + arcs, real, 0.0)
        move = tl.load(here, real, 0.0) + tl.load(arriving + arcs, real, 0.0)
        tl.store(here + batch * (nodes + 1) + 1, _log_add(stay, move), real)
        tl.debug_barrier()


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    beta, blanks, emits, diagonals, batch, nodes, BLOCK: tl.constexpr
):
    row = tl.program_id(0)
    u = tl.arange(0, BLOCK)
    real = u < nodes
    for back in tl.range(0, diagonals, num_stages=1):
        n = diagonals - 1 - back
        arcs = (n * batch + row) * nodes + u
        here = beta + (n * batch + row) * (nodes + 1) + u
        after = here + batch * (nodes + 1)
        stay = tl.load(after, real, 0.0) + tl.load(blanks + arcs, real, 0.0)
        move = tl.load(after + 1, real, 0.0) + tl.load(emits + arcs, real, 0.0)
        ending = tl.load(here, real, 0.0)
        tl.store(here, tl.maximum(ending, _log_add(stay, move)), real)
        tl.debug_barrier()


def forward(alpha: Tensor, blanks: Tensor, arriving: Tensor) -> None:
    """See `sweeps.forward`."""
    _start(_forward, alpha, blanks, arriving)


def backward(beta: Tensor, blanks: Tensor, emits: Tensor) -> None:
    """See `sweeps.backward`."""
    _start(_backward, beta, blanks, emits)


def _start(program: Any, table: Tensor, blanks: Tensor, labels: Tensor) -> None:
    diagonals, batch, nodes = blanks.shape
    # A power of two is asked for; 32 at least, so that few programs have to be compiled.
    block = max(32, triton.next_power_of_2(nodes))
    program[(batch,)](
        table, blanks.contiguous(), labels.contiguous(), diagonals, batch, nodes,
        BLOCK=block, num_warps=max(1, min(4, block // 64)),
    )  # fmt: skip
