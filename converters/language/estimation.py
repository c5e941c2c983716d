"""From counts to the file on the board: interpolated Witten-Bell, pruned, in backing-off form.

    p_n(c | h) = (count(h c) + kinds(h) p_{n-1}(c | h')) / (count(h) + kinds(h))

with kinds(h) the number of different labels seen after h, and h' the history without its oldest
label (Witten and Bell 1991). An n-gram that was seen too rarely is left out; the weight of its
history then makes all probabilities sum to one again.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.language_model import BITS, STEP_NATS
from converters.language.counting import Counts, Keys

_BITS = np.uint64(BITS)


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length that are kept."""

    keys: Keys
    probabilities: NDArray[np.float64]
    backoffs: NDArray[np.float64]


def estimate(counts: Counts, least: Sequence[int]) -> bytes:
    """The file of a model.

    Args:
        counts: of all orders from 1 on.
        least: for each order, the count from which an n-gram is kept; never falling with the
            order, so that whatever is kept has its history and its shorter self kept too.

    Returns:
        The bytes that `agent.hearing.language_model.LanguageModel` reads; the same counts always
        give the same bytes.
    """
    keys, seen = counts[1]
    orders = [_Order(keys, seen / seen.sum(), np.ones(len(keys)))]
    for n in range(2, len(least) + 1):
        longer = _longer(orders, counts[n], least[n - 1], n)
        if len(longer.keys) == 0:
            break
        orders.append(longer)
    return _file(orders)


def _longer(
    orders: list[_Order], counted: tuple[Keys, NDArray[np.int64]], least: int, n: int
) -> _Order:
    keys, seen = counted
    histories = keys >> _BITS
    unique, first = np.unique(histories, return_index=True)
    group = np.searchsorted(unique, histories)
    total = np.add.reduceat(seen, first).astype(np.float64)
    kinds = np.diff(np.append(first, len(keys))).astype(np.float64)
    shorter = keys & np.uint64((1 << (BITS * (n - 1))) - 1)
    lower = _probability(orders, shorter, n - 1)
    chances = (seen + kinds[group] * lower) / (total + kinds)[group]
    kept = seen >= least
    # What is not kept falls back to the shorter history, scaled so that all sums to one.
    mass = np.bincount(group, np.where(kept, chances, 0.0), len(unique))
    covered = np.bincount(group, np.where(kept, lower, 0.0), len(unique))
    weights = (1.0 - mass) / np.maximum(1.0 - covered, 1e-9)
    used = np.bincount(group, kept, len(unique)) > 0
    before = orders[n - 2]
    at = np.searchsorted(before.keys, unique[used])
    before.backoffs[at] = np.clip(weights[used], 1e-4, 1e3)
    return _Order(keys[kept], chances[kept], np.ones(int(kept.sum())))


def _probability(orders: list[_Order], keys: Keys, n: int) -> NDArray[np.float64]:
    """p_n of n-grams under what is kept so far; backs off where one is missing."""
    order = orders[n - 1]
    at = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
    found = order.keys[at] == keys
    result = np.where(found, order.probabilities[at], 0.0)
    if n > 1 and not found.all():
        missing = keys[~found]
        lower = _probability(orders, missing & np.uint64((1 << (BITS * (n - 1))) - 1), n - 1)
        histories = missing >> _BITS
        before = orders[n - 2]
        place = np.minimum(np.searchsorted(before.keys, histories), len(before.keys) - 1)
        known = before.keys[place] == histories
        result[~found] = np.where(known, before.backoffs[place], 1.0) * lower
    return result


def _file(orders: Sequence[_Order]) -> bytes:
    steps = [np.diff(order.keys, prepend=np.uint64(0)) for order in orders]
    log_probs = -np.log(np.concatenate([order.probabilities for order in orders])) / STEP_NATS
    backoffs = 128.0 - np.log(np.concatenate([order.backoffs for order in orders])) / STEP_NATS
    arrays = {
        "counts": np.array([len(order.keys) for order in orders], np.int32),
        "steps": np.concatenate(steps).astype(np.uint64),
        "log_probs": np.clip(np.rint(log_probs), 0, 255).astype(np.uint8),
        "backoffs": np.clip(np.rint(backoffs), 0, 255).astype(np.uint8),
    }
    content = io.BytesIO()
    # Not np.savez: its time stamps would make every file different.
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with io.BytesIO() as plain:
                np.save(plain, array)
                archive.writestr(entry, plain.getvalue(), compresslevel=9)
    return content.getvalue()
