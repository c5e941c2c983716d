"""The record of two copies: whatever happens to one of them, the other is read."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update.record import LARGEST_RECORD, PingPongRecord


@pytest.fixture
def record(tmp_path: Path) -> PingPongRecord:
    return PingPongRecord(tmp_path / "update" / "journal")


def test_nothing_is_loaded_before_something_is_stored(record):
    assert record.load() is None


def test_the_last_payload_is_loaded(record):
    for payload in (b"one", b"", b"three" * 5000, b"four"):
        record.store(payload)
        assert record.load() == payload
        assert PingPongRecord(record.copies[0].with_suffix("")).load() == payload


def test_only_the_older_copy_is_written(record):
    record.store(b"one")
    record.store(b"two")
    before = [copy.read_bytes() for copy in record.copies]
    record.store(b"three")
    after = [copy.read_bytes() for copy in record.copies]
    assert (before[0] != after[0], before[1] != after[1]) == (True, False)
    assert b"two" in after[1]


def _damaged(content: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "head only": content[:20],
        "torn in the payload": content[:22],
        "zeros": bytes(len(content)),
        "garbage": bytes(reversed(content)),
        "a flipped bit": bytes([content[0] ^ 1]) + content[1:],
        "a flipped bit in the payload": content[:21] + bytes([content[21] ^ 64]) + content[22:],
        "a length without end": content[:12] + b"\xff\xff\xff\xff" + content[16:],
    }


@pytest.mark.parametrize("damage", _damaged(bytes(64)), ids=str)
def test_a_damaged_newer_copy_gives_the_older_one(record, damage):
    for payload in (b"first one", b"second one", b"third one"):
        record.store(payload)
    newest = record.copies[0]
    newest.write_bytes(_damaged(newest.read_bytes())[damage])
    assert record.load() == b"second one"
    # And what is stored then does not go over the only whole copy.
    kept = record.copies[1].read_bytes()
    record.store(b"fourth one")
    assert record.copies[1].read_bytes() == kept
    assert record.load() == b"fourth one"


@pytest.mark.parametrize("damage", _damaged(bytes(64)), ids=str)
def test_a_damaged_older_copy_is_no_loss(record, damage):
    for payload in (b"first one", b"second one", b"third one"):
        record.store(payload)
    older = record.copies[1]
    older.write_bytes(_damaged(older.read_bytes())[damage])
    assert record.load() == b"third one"
    record.store(b"fourth one")
    assert record.load() == b"fourth one"


def test_a_missing_copy_is_no_loss_and_two_are_no_record(record):
    record.store(b"one")
    record.store(b"two")
    record.copies[0].unlink()
    assert record.load() == b"two"
    record.store(b"three")
    assert record.load() == b"three"
    for copy in record.copies:
        copy.unlink()
    assert record.load() is None


@given(left=st.binary(max_size=200), right=st.binary(max_size=200))
def test_garbage_in_both_copies_is_no_record_and_is_replaced(tmp_path_factory, left, right):
    record = PingPongRecord(tmp_path_factory.mktemp("garbage") / "floor")
    for copy, content in zip(record.copies, (left, right), strict=True):
        copy.write_bytes(content)
    assert record.load() is None
    record.store(b"whole")
    assert record.load() == b"whole"


def test_a_short_write_leaves_the_last_record(record):
    """A real limit of the kernel: the write stops in the middle and then fails."""
    record.store(b"one")
    record.store(b"two")
    program = (
        "import sys, resource\nfrom pathlib import Path\n"
        "from agent.update.record import PingPongRecord\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "try:\n    PingPongRecord(Path(sys.argv[1])).store(bytes(20000))\n"
        "except OSError as error:\n    sys.exit(error.errno)\n"
    )
    path = str(record.copies[0].with_suffix(""))
    result = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert result.returncode == 27  # EFBIG
    assert record.copies[0].stat().st_size == 6000
    assert record.load() == b"two"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 6000


def test_a_payload_without_bound_is_refused(record):
    record.store(b"one")
    with pytest.raises(ValueError, match="more than"):
        record.store(bytes(LARGEST_RECORD + 1))
    assert record.load() == b"one"


def test_a_record_needs_no_new_space_until_it_outgrows_its_blocks(record):
    record.store(b"x" * 1000)
    record.store(b"x" * 1000)
    sizes = [copy.stat().st_size for copy in record.copies]
    for length in (1, 4000, 100, 0):
        record.store(b"y" * length)
        assert [copy.stat().st_size for copy in record.copies] == sizes == [4096, 4096]
