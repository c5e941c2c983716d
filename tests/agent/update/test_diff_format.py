from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from agent.errors import (
    BaseMismatchError,
    DiffLimitError,
    DiffStorageError,
    MalformedDiffError,
    ResultMismatchError,
    UnsupportedDiffError,
)
from agent.update.byte_reader import varint
from agent.update.diff_base import Base, open_base
from agent.update.diff_format import apply_diff, read_header
from tests.agent.update.handmade import applied, diff, digest, read_files, stored, write_files
from tests.agent.update.test_sparse_diff import GOLDEN

BASE = {"a.txt": b"old\n", "gone": b"x", "kept/k": b"kept", "w.bin": bytes(range(12))}
RESULT = {
    "a.txt": b"new\n",
    "kept/k": b"kept",
    "sum": hashlib.sha256(b"new\n").hexdigest().encode() + b"!",
    "w.bin": bytes([0, 1, 2, 4, 4, 5, 6, 7, 6, 9, 10, 11]),
}
PLAN = bytes.fromhex(
    "01 02"  # removed: "gone", the second of the base
    "03"
    "01 01 01 21"  # "a.txt", of itself, one piece: replace 4
    "04 01 03 10 14 04 10"  # "w.bin": copy 2; sparse, 2 rows of 4; copy 2
    "00 03 73756d 00 01 8a04"  # "sum", of nothing: insert 65
)
LITERALS = b"new\n" + RESULT["sum"]
# The golden changes of test_sparse_diff.py: weight 1 of the matrix by +1, weight 6 by -2; the
# matrix begins at byte 2, so byte 3 becomes 4 and byte 8 becomes 6.
GOOD = diff(BASE, RESULT, plan=PLAN, literals=LITERALS, weights=GOLDEN)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_files(tmp_path / "base", BASE)


def test_golden(base: Path, tmp_path: Path) -> None:
    assert GOOD.startswith(b"VDIF\x01\x00")
    assert applied(GOOD, base, tmp_path / "result") == RESULT
    assert read_files(base) == BASE


def test_golden_sum_in_the_place_of_an_old_one(tmp_path: Path) -> None:
    """What a manifest costs: its new sums are not brought along."""
    old, new = (hashlib.sha256(text).hexdigest().encode() for text in (b"old\n", b"new\n"))
    before = {"a.txt": b"old\n", "m": b"a " + old + b".\n"}
    after = {"a.txt": b"new\n", "m": b"a " + new + b".\n"}
    plan = bytes.fromhex("00 02 01 01 01 21 02 01 03 10 06 10")  # copy 2; sum of file 0; copy 2
    content = diff(before, after, plan=plan, literals=b"new\n")
    assert applied(content, write_files(tmp_path / "base", before), tmp_path / "new") == after


def test_golden_parts_in_another_order(tmp_path: Path) -> None:
    before, after = {"a": b"first, second"}, {"a": b"second, first"}
    # Seek 7, copy 6; seek -8, copy 2; seek -7, copy 5.
    plan = bytes.fromhex("00 01 01 01 06 73 30 7b 10 6b 28")
    content = diff(before, after, plan=plan)
    assert applied(content, write_files(tmp_path / "base", before), tmp_path / "new") == after


def test_files_are_returned_in_order(base: Path, tmp_path: Path) -> None:
    files = apply_diff(io.BytesIO(GOOD), base, tmp_path / "result")
    assert [file.path for file in files] == sorted(RESULT)
    for file in files:
        content = RESULT[file.path]
        assert (file.length, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_header() -> None:
    header = read_header(io.BytesIO(GOOD))
    assert header.format == 1
    assert header.base_sha256 == digest(BASE)
    assert header.result_sha256 == digest(RESULT)
    assert header.result_bytes == sum(map(len, RESULT.values()))


def test_an_extension_is_skipped(base: Path, tmp_path: Path) -> None:
    """Room to grow: what a later version adds there does not hurt this one."""
    content = diff(
        BASE, RESULT, plan=PLAN, literals=LITERALS, weights=GOLDEN, extension=b"later" * 100
    )
    assert applied(content, base, tmp_path / "result") == RESULT


def test_every_truncation_is_named(base: Path, tmp_path: Path) -> None:
    for end in range(len(GOOD)):
        with pytest.raises(MalformedDiffError):
            apply_diff(io.BytesIO(GOOD[:end]), base, tmp_path / str(end))


def test_bytes_behind_the_end(base: Path, tmp_path: Path) -> None:
    with pytest.raises(MalformedDiffError):
        apply_diff(io.BytesIO(GOOD + b"\0"), base, tmp_path / "result")
    # Also where there are no weights.
    bare = diff({"a": b"1"}, {"a": b"1"}, plan=b"\0\0")
    folder = write_files(tmp_path / "other", {"a": b"1"})
    assert applied(bare, folder, tmp_path / "same") == {"a": b"1"}
    with pytest.raises(MalformedDiffError, match="longer than it says"):
        apply_diff(io.BytesIO(bare + b"\0"), folder, tmp_path / "longer")


@pytest.mark.parametrize(
    "content", [b"", b"VDI", b"PK\x03\x04" * 40], ids=["empty", "short", "zip"]
)
def test_something_else(content: bytes, base: Path, tmp_path: Path) -> None:
    for read in (lambda s: apply_diff(s, base, tmp_path / "result"), read_header):
        with pytest.raises(MalformedDiffError, match="not a diff"):
            read(io.BytesIO(content))


def test_a_newer_format(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedDiffError, match="format 2, this agent reads format 1; update"):
        apply_diff(io.BytesIO(b"VDIF\x02" + GOOD[5:]), base, tmp_path / "result")


def test_another_base(base: Path, tmp_path: Path) -> None:
    (base / "kept" / "k").write_bytes(b"Kept")
    with pytest.raises(BaseMismatchError, match="not the bundle that the diff starts from"):
        apply_diff(io.BytesIO(GOOD), base, tmp_path / "result")
    assert not (tmp_path / "result").exists()


def test_another_result_than_promised(base: Path, tmp_path: Path) -> None:
    content = diff(BASE, RESULT | {"a.txt": b"NEW\n"}, plan=PLAN, literals=LITERALS, weights=GOLDEN)
    with pytest.raises(ResultMismatchError, match="download it again"):
        apply_diff(io.BytesIO(content), base, tmp_path / "result")


def test_more_and_fewer_literals_than_needed(base: Path, tmp_path: Path) -> None:
    for number, literals in enumerate((LITERALS + b"!", LITERALS[:-1])):
        content = diff(BASE, RESULT, plan=PLAN, literals=literals, weights=GOLDEN)
        with pytest.raises(MalformedDiffError, match="bytes along than it needs"):
            apply_diff(io.BytesIO(content), base, tmp_path / str(number))


def test_a_longer_plan_than_announced(base: Path, tmp_path: Path) -> None:
    head = GOOD[: 6 + 64 + 1]
    content = head + varint(len(PLAN) - 1) + stored(PLAN) + GOOD[len(head) + 3 + len(PLAN) :]
    with pytest.raises(MalformedDiffError):
        apply_diff(io.BytesIO(content), base, tmp_path / "result")


_HEAD = b"VDIF\x01\x00" + bytes(64)
_GIGABYTES = {
    "result": _HEAD + varint(1 << 33),
    "plan": _HEAD + b"\x01" + varint(1 << 33),
    "packed plan": _HEAD + b"\x01\x01\x00" + varint(1 << 33),
    "extension": b"VDIF\x01" + varint(1 << 33),
}


@pytest.mark.parametrize("content", _GIGABYTES.values(), ids=_GIGABYTES.keys())
def test_announced_gigabytes_are_refused(content: bytes, base: Path, tmp_path: Path) -> None:
    with pytest.raises(DiffLimitError, match="announces"):
        apply_diff(io.BytesIO(content), base, tmp_path / "result")


def test_a_folder_that_is_not_empty(base: Path, tmp_path: Path) -> None:
    result = write_files(tmp_path / "result", {"already": b""})
    with pytest.raises(DiffStorageError, match="not empty"):
        apply_diff(io.BytesIO(GOOD), base, result)
    assert read_files(result) == {"already": b""}


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiffStorageError, match="cannot be read"):
        apply_diff(io.BytesIO(GOOD), tmp_path / "missing", tmp_path / "result")


def test_a_folder_that_cannot_be_made(base: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiffStorageError) as caught:
        apply_diff(io.BytesIO(GOOD), base, tmp_path / "file" / "result")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_stream_that_fails(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "diff"
    path.write_bytes(GOOD)
    descriptor = os.open(path, os.O_WRONLY)
    with open(descriptor, "wb") as unreadable, pytest.raises(DiffStorageError):
        read_header(unreadable)


def test_a_base_that_changes_meanwhile(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_truncated(directory: Path, digest: str) -> Base:
        known = open_base(directory, digest)
        os.truncate(directory / "w.bin", 5)
        return known

    monkeypatch.setattr("agent.update.diff_format.open_base", then_truncated)
    with pytest.raises(BaseMismatchError, match="changed while the diff was applied"):
        apply_diff(io.BytesIO(GOOD), base, tmp_path / "result")


def test_a_file_of_the_plan_never_replaces_another(tmp_path: Path) -> None:
    """Two paths cannot meet in one file, so nothing is ever opened that exists."""
    base = write_files(tmp_path / "base", {"a": b"1"})
    plan = b"\0\1" + b"\0\3a/b" + b"\0\1" + varint(2 * 8 + 2)
    content = diff({"a": b"1"}, {"a": b"1", "a/b": b"22"}, plan=plan, literals=b"22")
    with pytest.raises(MalformedDiffError, match="below another file"):
        apply_diff(io.BytesIO(content), base, tmp_path / "result")
