from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.diff_plan import Kind, Piece
from converters.updates.matching import match
from converters.updates.recipe import Recipe


def rebuilt(recipe: Recipe, old: bytes) -> bytes:
    """What a board makes of the pieces."""
    literals, cursor, made = io.BytesIO(bytes(recipe.literals)), 0, b""
    for piece in recipe.pieces:
        if piece.kind is Kind.COPY:
            made += old[cursor : cursor + piece.amount]
        elif piece.kind in (Kind.REPLACE, Kind.INSERT):
            made += literals.read(piece.amount)
        cursor += piece.moved
        assert 0 <= cursor <= len(old)
    assert literals.read() == b""
    assert cursor == recipe.cursor
    return made


def matched(old: bytes, new: bytes) -> Recipe:
    recipe = Recipe("f", "f")
    match(recipe, old, new)
    assert rebuilt(recipe, old) == new
    return recipe


OLD = b"".join(b"line %04d of a text\n" % number for number in range(100))


def test_text_that_stays() -> None:
    assert matched(OLD, OLD).pieces == [Piece(Kind.COPY, len(OLD))]


def test_a_line_more() -> None:
    new = OLD[:400] + b"something new\n" + OLD[400:]
    recipe = matched(OLD, new)
    assert recipe.literals == b"something new\n"
    assert [piece.kind for piece in recipe.pieces] == [Kind.COPY, Kind.INSERT, Kind.COPY]


def test_a_line_less() -> None:
    recipe = matched(OLD, OLD[:400] + OLD[480:])
    assert not recipe.literals
    assert sum(piece.made for piece in recipe.pieces) == len(OLD) - 80


def test_a_line_replaced_by_one_as_long_needs_no_seek() -> None:
    new = OLD[:400] + b"LINE 0020 OF A TEXT\n" + OLD[420:]
    kinds = [piece.kind for piece in matched(OLD, new).pieces]
    assert kinds == [Kind.COPY, Kind.REPLACE, Kind.COPY]


def test_parts_in_another_order() -> None:
    recipe = matched(OLD, OLD[1000:] + OLD[:1000])
    assert not recipe.literals
    assert Kind.SEEK in [piece.kind for piece in recipe.pieces]


@pytest.mark.parametrize(("old", "new"), [(b"", b"abc"), (b"abc", b""), (b"", b"")])
def test_nothing(old: bytes, new: bytes) -> None:
    assert matched(old, new).literals == new


def test_a_long_source_is_looked_up_coarsely_and_still_found() -> None:
    old = np.random.default_rng(1).bytes(1_200_000)
    new = b"head" + old[500_003:900_001] + b"tail"
    assert matched(old, new).literals == b"headtail"


@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80), st.binary(max_size=9)), max_size=6),
)
def test_any_mixture_is_rebuilt(old: bytes, parts: list[tuple[int, int, bytes]]) -> None:
    new = b"".join(old[start : start + length] + more for start, length, more in parts)
    matched(old, new)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_stretch_is_rebuilt_from_the_same_place(old: bytes, data: st.DataObject) -> None:
    new = bytearray(old)
    for place in data.draw(st.sets(st.integers(0, len(old) - 1), max_size=20)):
        new[place] ^= 0xFF
    recipe = Recipe("f", "f")
    recipe.positional(old, bytes(new), 0)
    assert rebuilt(recipe, old) == bytes(new)
    # Between two differences at most six equal bytes are brought along.
    assert len(recipe.literals) <= 7 * sum(a != b for a, b in zip(old, new, strict=True))
