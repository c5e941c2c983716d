from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BaseMismatchError, DiffError, DiffLimitError, MalformedDiffError
from agent.update.byte_reader import varint
from agent.update.diff_base import Base, Layout, Matrix
from agent.update.diff_plan import Kind, Piece, Plan
from converters.updates.plan_writer import write_plan
from converters.updates.recipe import Recipe

BASE = {"a.txt": 10, "m/b.tflite": 1000, "z": 0}
LAYOUT: Layout = {"m/b.tflite": [Matrix(100, 5, 20), Matrix(300, 2, 50), Matrix(400, 10, 10)]}


def read(content: bytes) -> Plan:
    return Plan(content, Base(BASE, lambda: LAYOUT))


def plan_of(*files: bytes, removed: bytes = b"\0") -> bytes:
    return removed + bytes([len(files)]) + b"".join(files)


def file_of(*pieces: int, number: int = 1, origin: int = 1, count: int | None = None) -> bytes:
    """A file with pieces given as varints; a matrix's columns follow it."""
    body = b"".join(map(varint, pieces))
    return bytes([number, origin, len(pieces) if count is None else count]) + body


def test_golden() -> None:
    """One file removed; one made of its base, one of another, one of nothing."""
    content = bytes.fromhex(
        "01 03"  # removed: one, the third file of the base
        "03"  # three files
        "01 01 03"  # the first of the base, made of itself, three pieces
        "20 19 3b"  # copy 4; replace 3; seek: 7 is odd, so -(7 + 1) / 2
        "00 05 6d2f632e64 02 02 04"  # "m/c.d", made of the second of the base, four pieces
        "2c 14 15 14 06 8001"  # sparse 5 x 20; hashed 2 x 20; the sum of file 0; copy 16
        "00 01 6e 00 01 12"  # "n", made of nothing: insert 2
    )
    plan = read(content)
    assert plan.removed == ["z"]
    assert [(file.path, file.source) for file in plan.files] == [
        ("a.txt", "a.txt"),
        ("m/c.d", "m/b.tflite"),
        ("n", None),
    ]
    pieces = [list(plan.pieces(index)) for index in range(3)]
    assert pieces == [
        [Piece(Kind.COPY, 4), Piece(Kind.REPLACE, 3), Piece(Kind.SEEK, -4)],
        [
            Piece(Kind.SPARSE, 5, 20),
            Piece(Kind.HASHED, 2, 20),
            Piece(Kind.DIGEST, 0),
            Piece(Kind.COPY, 16),
        ],
        [Piece(Kind.INSERT, 2)],
    ]
    recipes = [
        Recipe(file.path, file.source, pieces=list(made))
        for file, made in zip(plan.files, pieces, strict=True)
    ]
    assert write_plan(plan.removed, recipes, list(BASE)) == content
    assert plan.check() == [(5, 20), (2, 20)]


def test_listed_matrices_become_pieces() -> None:
    # Copy 1, then the next two matrices: at 100 and at 300; then the cursor stands at 400, where
    # the third one begins.
    plan = read(plan_of(file_of(8, 2 * 8 + 7, 8 + 7, number=2)))
    assert list(plan.pieces(0)) == [
        Piece(Kind.COPY, 1),
        Piece(Kind.COPY, 99),
        Piece(Kind.SPARSE, 5, 20),
        Piece(Kind.COPY, 100),
        Piece(Kind.SPARSE, 2, 50),
        Piece(Kind.COPY, 0),
        Piece(Kind.SPARSE, 10, 10),
    ]
    assert plan.check() == [(5, 20), (2, 50), (10, 10)]


def test_a_recipe_is_shortened_by_what_is_listed() -> None:
    recipe = Recipe("m/b.tflite", "m/b.tflite")
    for matrix in LAYOUT["m/b.tflite"]:
        recipe.copy(recipe.cursor, matrix.offset - recipe.cursor)
        recipe.matrix(Kind.SPARSE, matrix)
    recipe.copy(500, 500)
    long = list(recipe.pieces)
    recipe.shorten(LAYOUT["m/b.tflite"])
    assert recipe.pieces == [Piece(Kind.LISTED, 3), Piece(Kind.COPY, 500)]
    plan = read(write_plan([], [recipe], list(BASE)))
    assert [piece for piece in plan.pieces(0) if piece.amount] == long


def test_what_is_not_listed_stays() -> None:
    pieces = [
        Piece(Kind.COPY, 100),
        Piece(Kind.HASHED, 5, 20),  # listed, and hashed
        Piece(Kind.REPLACE, 100),
        Piece(Kind.SPARSE, 2, 50),  # listed, but nothing is copied before it
        Piece(Kind.SPARSE, 5, 20),  # listed elsewhere in another shape
    ]
    recipe = Recipe("m/b.tflite", "m/b.tflite", pieces=list(pieces))
    recipe.shorten(LAYOUT["m/b.tflite"])
    assert recipe.pieces == [*pieces[:3], Piece(Kind.LISTED, 1), pieces[4]]


_MALFORMED = {
    "nothing": b"",
    "no files": b"\0",
    "bytes behind the end": plan_of() + b"\0",
    "an impossible source": plan_of(file_of(origin=3)),
    "a path that climbs": plan_of(b"\0\x05../ab\0\0"),
    "an absolute path": plan_of(b"\0\x02/a\0\0"),
    "a path that is not ASCII": plan_of("\0\x02ä".encode() + b"\0\0"),
    "an empty path": plan_of(b"\0\0\0\0"),
    "a file twice": plan_of(file_of(), file_of()),
    "a file made and removed": plan_of(file_of(), removed=b"\1\1"),
    "a matrix without rows": plan_of(file_of(4, 20, count=1)),
    "a matrix without columns": plan_of(file_of(8 + 4, 0, count=1)),
    "a piece that is cut off": plan_of(file_of(8 + 4, count=1)),
    "fewer pieces than announced": plan_of(file_of(8, count=2)),
    "copy beyond the end": plan_of(file_of(11 * 8)),
    "replace beyond the end": plan_of(file_of(11 * 8 + 1)),
    "seek beyond the end": plan_of(file_of(8 * 22 + 3)),
    "seek before the beginning": plan_of(file_of(8 * 1 + 3)),
    "a matrix beyond the end": plan_of(file_of(8 * 3 + 4, 4, count=1)),
    "copy of nothing": plan_of(file_of(8, origin=0)),
    "the sum of itself": plan_of(file_of(6, number=2)),
    "a sum without an old one": plan_of(file_of(), file_of(6, number=3)),
    "more listed matrices than there are": plan_of(file_of(8 * 4 + 7, number=2)),
    "no listed matrix": plan_of(file_of(7, number=2)),
    "matrices listed for nobody": plan_of(file_of(8 + 7)),
    "a file below a file": plan_of(b"\0\x07a.txt/b\0\0"),
}


@pytest.mark.parametrize("content", _MALFORMED.values(), ids=_MALFORMED.keys())
def test_malformed(content: bytes) -> None:
    with pytest.raises(MalformedDiffError):
        read(content).check()


_EXCESSIVE = {
    "a base file that is not there": plan_of(file_of(number=4)),
    "files": b"\0" + varint(1025),
    "removed files": varint(1025) + b"\0",
    "bytes in a path": plan_of(b"\0" + varint(201) + b"a" * 201 + b"\0\0"),
    "columns": plan_of(file_of(8 + 4, (1 << 15) + 1, count=1)),
    "a file": plan_of(file_of((65 << 20) * 8 + 2, origin=0)),
    "a bundle": plan_of(
        *(b"\0\1" + b"%d" % n + b"\0\1" + varint((60 << 20) * 8 + 2) for n in range(5))
    ),
}


@pytest.mark.parametrize("content", _EXCESSIVE.values(), ids=_EXCESSIVE.keys())
def test_excessive(content: bytes) -> None:
    with pytest.raises(DiffLimitError):
        read(content).check()


def test_more_files_than_a_bundle_holds() -> None:
    made = b"".join(b"\0" + varint(len(n)) + n + b"\0\0" for n in (b"%d" % i for i in range(1023)))
    assert read(b"\1\3" + varint(1022) + made[: -len(b"\0\x041022\0\0")]).check() == []
    with pytest.raises(DiffLimitError, match="more than 1024 files"):
        read(b"\1\3" + varint(1023) + made).check()


def test_another_source_must_exist() -> None:
    with pytest.raises(BaseMismatchError, match="lacks q"):
        read(plan_of(b"\1\2\0\1q\0")).check()
    with pytest.raises(BaseMismatchError, match="lacks q"):
        read(plan_of(removed=b"\1\0\1q")).check()


def test_more_matrices_than_an_agent_counts() -> None:
    # All three, and back to the front, again and again.
    round_trip = b"".join(map(varint, (8 * 3 + 7, 8 * 999 + 3)))
    assert len(read(plan_of(b"\2\1\2" + round_trip)).check()) == 3
    with pytest.raises(DiffLimitError, match="too large"):
        read(plan_of(b"\2\1" + varint(4000) + round_trip * 2000)).check()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_plan_or_a_named_error(content: bytes) -> None:
    try:
        plan = read(content)
        plan.check()
    except DiffError:
        return
    for index in range(len(plan.files)):
        assert all(piece.made >= 0 for piece in plan.pieces(index))
