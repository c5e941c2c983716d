"""Batches of rows in order, made ahead by other processes where training is faster than making.

A core makes a batch of 4,000 frames in about 15 ms. On a CPU a step takes twenty times as long, and
batches are made in between; a GPU takes less for a step than a core for a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from converters.asr.rows import Batch, RowBuilder

_AHEAD = 3
"""Batches that wait per process."""
_LAST = 1 << 40


class _Parts(Dataset[list[Any]]):
    """The fields of batch i, arrays as tensors: those travel between processes uncopied."""

    def __init__(self, rows: RowBuilder, rank: int, world: int) -> None:
        self._rows, self._rank, self._world = rows, rank, world

    def __getitem__(self, index: int) -> list[Any]:
        batch = self._rows.batch(index, self._rank, self._world)
        parts = [getattr(batch, field.name) for field in fields(batch)]
        return [part if isinstance(part, float) else torch.from_numpy(part) for part in parts]


def batches(
    rows: RowBuilder, first: int, *, rank: int = 0, world: int = 1, builders: int = 0
) -> Iterator[Batch]:
    """Batches ``first``, ``first + 1``, ...: the same ones, whoever makes them.

    Args:
        rows: makes them.
        first: number of the first.
        rank: which share of each.
        world: how many shares there are.
        builders: processes that make them ahead; 0: each is made when it is asked for.
    """
    if builders == 0:
        for index in itertools.count(first):
            yield rows.batch(index, rank, world)
    loader = DataLoader(
        _Parts(rows, rank, world),
        batch_size=None,
        sampler=range(first, _LAST),
        num_workers=builders,
        prefetch_factor=_AHEAD,
        collate_fn=_as_made,
        pin_memory=torch.cuda.is_available(),
        # Its own chance: dropout must not depend on who makes the batches.
        generator=torch.Generator(),
        # Forked, so that features and clips are shared and nothing is read twice.
        multiprocessing_context="fork",
    )
    for parts in loader:
        made: Any = (part if isinstance(part, float) else part.numpy() for part in parts)
        yield Batch(*made)


def _as_made(parts: list[Any]) -> list[Any]:
    return parts
