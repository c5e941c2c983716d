"""Batches that other processes make are those that this one would make."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch

from converters.asr.batches import batches
from tests.converters.asr.test_training import toy_rows


def test_other_processes_make_the_same_batches() -> None:
    rows = toy_rows()
    chance = torch.get_rng_state()
    made = list(itertools.islice(batches(rows, 5, builders=2), 4))
    assert torch.equal(torch.get_rng_state(), chance), "dropout would differ"
    for index, batch in enumerate(made):
        for own, theirs in zip(
            dataclasses.astuple(rows.batch(5 + index)), dataclasses.astuple(batch), strict=True
        ):
            np.testing.assert_array_equal(theirs, own)


def test_ranks_get_their_shares() -> None:
    rows = toy_rows()
    shares = [next(batches(rows, 3, rank=rank, world=2)) for rank in range(2)]
    whole = next(batches(rows, 3, world=1))
    assert sum(len(share.labels) for share in shares) == len(whole.labels)
    np.testing.assert_array_equal(shares[1].frames, rows.batch(3, 1, 2).frames)
