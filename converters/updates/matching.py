"""Finds the parts of a file that already lie in another one: for everything that is not a matrix.

Text whose lines moved, a model file whose graph grew, constants of other types: the new file is put
together from stretches of the old one and from bytes that are brought along. Stretches are found by
their first 16 bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.updates.recipe import Recipe

_WINDOW = 16  # bytes: a shorter stretch costs nearly as much as it saves
_DENSE = 1 << 20  # bytes: a longer source is looked up at every eighth byte only
_MOST_STRETCHES = 20_000
_SEEK = 3  # bytes that a seek costs
_FIRST_LOOK = 256  # bytes compared at first, when a stretch is made longer


def match(recipe: Recipe, old: bytes, new: bytes) -> None:
    """Builds bytes from stretches of the whole source, wherever they lie.

    Args:
        recipe: Gets the pieces.
        old: The source.
        new: What is to be built.
    """
    brought = 0
    for place, start, length in _stretches(old, new, recipe.cursor):
        gap = new[brought:place]
        recipe.bring(gap, instead=start == recipe.cursor + len(gap))
        recipe.copy(start, length)
        brought = place + length
    recipe.bring(new[brought:], instead=recipe.cursor + len(new) - brought <= len(old))


def _stretches(old: bytes, new: bytes, cursor: int) -> list[tuple[int, int, int]]:
    """Place in `new`, start in `old`, length; in the order of `new`, without overlap."""
    found: list[tuple[int, int, int]] = []
    keys = _keys(new)
    known = _keys(old)[:: 1 if len(old) <= _DENSE else 8]
    if not len(keys) or not len(known):
        return found
    order = np.argsort(known, kind="stable")
    rank = np.minimum(np.searchsorted(known[order], keys), len(known) - 1)
    starts = order[rank] * (1 if len(old) <= _DENSE else 8)
    places = np.flatnonzero(known[order][rank] == keys)
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    done, shift = 0, cursor
    while len(found) < _MOST_STRETCHES:
        index = int(np.searchsorted(places, done))
        if index == len(places):
            return found
        place = int(places[index])
        start = int(starts[place])
        # Of several equal stretches the one that goes on where the last one ended is the cheapest.
        ahead = place + shift
        if ahead >= 0 and old[ahead : ahead + _WINDOW] == new[place : place + _WINDOW]:
            start = ahead
        if old[start : start + _WINDOW] != new[place : place + _WINDOW]:
            done = place + 1  # two windows with one key
            continue
        back = _common(before[:start][::-1], after[done:place][::-1])
        # Where the cursor stands anyway is better than a seek for a byte or two.
        excess = done + shift - (start - back)
        if 0 < excess <= _SEEK:
            back -= excess
        length = back + _common(before[start:], after[place:])
        found.append((place - back, start - back, length))
        done = place - back + length
        shift = start - place
    return []  # so many pieces would cost more than the bytes


def _keys(content: bytes) -> NDArray[np.uint64]:
    """A number for every window of the content, equal for equal windows."""
    count = len(content) - _WINDOW + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    keys = np.zeros(count, np.uint64)
    values = np.frombuffer(content, np.uint8)
    for i in range(_WINDOW):
        keys *= np.uint64(0x9E3779B97F4A7C15)  # odd and large: every byte reaches the upper bits
        keys += values[i : i + count]
    return keys


def _common(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """How many leading bytes are equal."""
    most, done, look = min(len(a), len(b)), 0, _FIRST_LOOK
    while done < most:
        end = min(done + look, most)
        differing = np.flatnonzero(a[done:end] != b[done:end])
        if len(differing):
            return done + int(differing[0])
        done, look = end, 2 * look
    return most
