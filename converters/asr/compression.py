"""What makes a recogniser small while it learns: grids of few bits, and zeros.

The switches of ``train-asr``; `converters.asr.compressor` does what they ask for.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Compression:
    """What is asked for."""

    bits: int | None = None
    """8 or 4: the training sees weights of so many bits; None: it sees them in float."""
    grid_weight: float = 0.0
    """Weight of the regulariser that pulls weights to their grid; see `quantisation.py`."""
    sparsity: float = 0.0
    """Share of the LSTM layers' weights that become zero."""
    block: tuple[int, int] = (1, 1)
    """Rows and columns that become zero together."""
    ramp: tuple[float, float] = (0.0, 0.6)
    """Share of the training in which zeros are made."""
    grid_ramp: float = 0.5
    """Share of the training in which the regulariser reaches its weight."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``train-asr`` that make a recogniser small."""
    group = parser.add_argument_group(
        "small files", "a grid of few bits and weights that are zero; see RESULTS.md, Small files"
    )
    add = group.add_argument
    add("--bits", type=int, choices=(8, 4),
        help="learn at weights as the board holds them: int8 a row, or 4 bits for the LSTM layers")
    add("--grid-weight", type=float, default=0.0, metavar="WEIGHT",
        help="pull weights to the points of that grid (default: %(default)s; try 0.003)")
    add("--sparsity", type=float, default=0.0, metavar="SHARE",
        help="share of the LSTM layers' weights that become zero, gradually, such as 0.5")
    add("--block", type=_block, default=(1, 1), metavar="ROWSxCOLUMNS",
        help="weights that become zero together (default: 1x1, each on its own)")


def chosen(args: argparse.Namespace) -> Compression:
    """What the options ask for."""
    return Compression(
        bits=args.bits, grid_weight=args.grid_weight, sparsity=args.sparsity, block=args.block
    )


def _block(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdigit() and columns.isdigit() and int(rows) and int(columns)):
        raise argparse.ArgumentTypeError(f"{text!r} is no block; give one such as 4x4")
    return int(rows), int(columns)
