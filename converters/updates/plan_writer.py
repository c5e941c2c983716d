"""Writes the plan of a diff: the counterpart of `agent.update.diff_plan`."""

from __future__ import annotations

from collections.abc import Sequence

from agent.update.byte_reader import varint
from agent.update.diff_plan import Kind
from converters.updates.recipe import Recipe


def write_plan(removed: Sequence[str], recipes: Sequence[Recipe], base: Sequence[str]) -> bytes:
    """A plan as bytes.

    Args:
        removed: Paths of base files that the result does not have.
        recipes: The files that are made anew.
        base: Paths of all base files.
    """
    numbers = {path: number for number, path in enumerate(sorted(base, key=str.encode), start=1)}

    def named(path: str) -> bytes:
        if path in numbers:
            return varint(numbers[path])
        encoded = path.encode()
        return varint(0) + varint(len(encoded)) + encoded

    parts = [varint(len(removed)), *map(named, removed), varint(len(recipes))]
    for recipe in recipes:
        parts.append(named(recipe.path))
        if recipe.source in (None, recipe.path):
            parts.append(b"\0" if recipe.source is None else b"\1")
        else:
            assert recipe.source is not None
            parts += [b"\2", named(recipe.source)]
        parts.append(varint(len(recipe.pieces)))
        for kind, amount, columns in recipe.pieces:
            if kind is Kind.SEEK:
                amount = 2 * amount if amount >= 0 else -2 * amount - 1
            parts.append(varint(kind + 8 * amount))
            if kind in (Kind.SPARSE, Kind.HASHED):
                parts.append(varint(columns))
    return b"".join(parts)
