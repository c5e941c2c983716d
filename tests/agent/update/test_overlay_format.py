"""The parser of overlays, and what it makes: Q' = clip(Q + D) over every release of one layout."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.bundle.manifest import load_bundle
from agent.errors import (
    BaseMismatchError,
    DiffError,
    DiffLimitError,
    DiffStorageError,
    MalformedDiffError,
    UnsupportedDiffError,
)
from agent.update import overlay_format
from agent.update.byte_reader import varint
from agent.update.hashed_diff import HashedChanges
from agent.update.overlay_format import apply_overlay, check_fit, read_overlay
from converters.updates.weights_writer import Buckets, Changes, write_weights
from tests.agent.update.handmade import read_files
from tests.agent.update.mutations import mutated
from tests.agent.update.toy_overlays import write_small_bundle

SHAPES = ((40, 5, 30), (200, 2, 75))
CELLS = 300
SIZE = 400
INSIDE = np.r_[40:190, 200:350]


def overlay(bundle: Path, weights: bytes, *, extension: bytes = b"") -> bytes:
    """An overlay by hand."""
    layout = load_bundle(bundle).manifest.layout_sha256
    assert layout is not None
    return b"".join(
        [b"VOVL\x01", varint(len(extension)), extension, bytes.fromhex(layout), weights]
    )


def sparse(changes: NDArray[np.int16], buckets: Buckets | None = None) -> bytes:
    cells = np.flatnonzero(changes)
    shapes = [(rows, columns) for _, rows, columns in SHAPES]
    return write_weights(Changes(shapes, cells, changes[cells]), buckets)


def random_changes(seed: int, share: float = 0.1) -> NDArray[np.int16]:
    generator = np.random.default_rng(seed)
    changes = generator.integers(-255, 256, CELLS) * (generator.random(CELLS) < share)
    changes[0] = 1  # an overlay of nothing is none
    return changes.astype(np.int16)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    content = np.random.default_rng(1).bytes(SIZE)
    return write_small_bundle(tmp_path / "base", content, shapes=SHAPES)


@pytest.fixture
def good(bundle: Path) -> bytes:
    return overlay(bundle, sparse(random_changes(2)))


def encoder(folder: Path) -> NDArray[np.int16]:
    return np.frombuffer((folder / "encoder_slow.tflite").read_bytes(), np.int8).astype(np.int16)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.02, 0.5, 1.0]), st.booleans())
def test_every_release_of_the_layout_gets_clip_of_q_and_d(
    seed: int, share: float, hashed: bool
) -> None:
    changes = random_changes(seed, share)
    buckets = Buckets(seed, np.array([3, -100, 0, 127, 9], np.int8)) if hashed else None
    with tempfile.TemporaryDirectory() as name:
        first = write_small_bundle(Path(name) / "first", bytes(SIZE), shapes=SHAPES)
        content = overlay(first, sparse(changes, buckets))
        for number in range(2):
            weights = np.random.default_rng(seed + number).bytes(SIZE)
            release = write_small_bundle(Path(name) / str(number), weights, shapes=SHAPES)
            result = Path(name) / f"result-{number}"
            apply_overlay(content, release, result)
            expected = encoder(release)
            inside = expected[INSIDE]
            if buckets is not None:
                HashedChanges(seed, buckets.values).add(inside, 0)
            expected[INSIDE] = np.clip(inside + changes, -128, 127)
            assert (encoder(result) == expected).all()
            # A whole bundle: every sum of its manifest is right, and nothing else has changed.
            assert load_bundle(result).manifest.release == 1
            before, after = read_files(release), read_files(result)
            assert before.keys() == after.keys()
            differing = {path for path in before if before[path] != after[path]}
            assert differing <= {"encoder_slow.tflite", "manifest.json"}


def test_the_digest_is_that_of_the_result_and_the_base_stays(
    bundle: Path, good: bytes, tmp_path: Path
) -> None:
    before = read_files(bundle)
    digests = {apply_overlay(good, bundle, tmp_path / name) for name in ("one", "two")}
    assert len(digests) == 1
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two") != before
    assert read_files(bundle) == before


def test_an_extension_is_skipped(bundle: Path, good: bytes, tmp_path: Path) -> None:
    longer = overlay(bundle, sparse(random_changes(2)), extension=b"later")
    assert apply_overlay(longer, bundle, tmp_path / "one") == apply_overlay(
        good, bundle, tmp_path / "two"
    )


def test_it_is_cut_off_anywhere(bundle: Path, good: bytes, tmp_path: Path) -> None:
    damaged = "The overlay is damaged; copy it again, or make it anew"
    for length in range(len(good)):
        with pytest.raises(MalformedDiffError, match="not an overlay" if length < 4 else damaged):
            apply_overlay(good[:length], bundle, tmp_path / "result")
        shutil.rmtree(tmp_path / "result", ignore_errors=True)
    with pytest.raises(MalformedDiffError, match=damaged):
        apply_overlay(good + b"\0", bundle, tmp_path / "result")


def test_one_for_another_architecture_writes_nothing(
    bundle: Path, good: bytes, tmp_path: Path
) -> None:
    other = write_small_bundle(tmp_path / "other", bytes(SIZE), shapes=SHAPES[:1])
    with pytest.raises(BaseMismatchError, match=r"another architecture than toy 1; make it anew"):
        apply_overlay(good, other, tmp_path / "result")
    silent = write_small_bundle(tmp_path / "silent", bytes(SIZE), shapes=())
    with pytest.raises(BaseMismatchError):
        check_fit(good, load_bundle(silent).manifest)
    check_fit(good, load_bundle(bundle).manifest)
    assert not (tmp_path / "result").exists()


def test_what_is_no_overlay_is_named(bundle: Path, good: bytes) -> None:
    manifest = load_bundle(bundle).manifest
    for content in (b"", b"VOV", b"VDIF" + good[4:], b"PK\x03\x04" * 20):
        with pytest.raises(MalformedDiffError, match="`voice-converters diff --overlay` made"):
            check_fit(content, manifest)
    with pytest.raises(UnsupportedDiffError, match=r"format 2, .* update the agent"):
        check_fit(good[:4] + b"\x02" + good[5:], manifest)
    with pytest.raises(DiffLimitError, match="bytes of extension"):
        check_fit(good[:5] + varint(1 << 40) + good[6:], manifest)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiffStorageError, match=r"No such file .* check bundle.overlay"):
        read_overlay(tmp_path / "missing")
    with pytest.raises(DiffStorageError, match=r"is not a regular file|Is a directory"):
        read_overlay(tmp_path)
    # Opened as any other file, it would keep us waiting for somebody who writes.
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiffStorageError, match="not a regular file"):
        read_overlay(tmp_path / "pipe")
    monkeypatch.setattr(overlay_format, "LARGEST_OVERLAY", 100)
    (tmp_path / "file").write_bytes(bytes(100))
    assert len(read_overlay(tmp_path / "file")) == 100
    (tmp_path / "file").write_bytes(bytes(101))
    with pytest.raises(DiffLimitError, match="longer than the 100 bytes"):
        read_overlay(tmp_path / "file")


def test_an_unfinished_result_is_in_nobodys_way(bundle: Path, good: bytes, tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    with pytest.raises(DiffStorageError, match="cannot be applied"):
        apply_overlay(good, bundle, tmp_path / "result")


def _mutations(seeds: range, bundle: Path, tmp_path: Path) -> None:
    buckets = Buckets(7, np.array([1, -1, 2], np.int8))
    originals = [
        overlay(bundle, sparse(random_changes(seed, share), layer), extension=bytes(seed))
        for seed, share, layer in ((1, 0.02, None), (2, 0.5, None), (3, 0.2, buckets))
    ]
    before = read_files(bundle)
    outside = np.setdiff1d(np.arange(SIZE), INSIDE)
    refused = 0
    for seed in seeds:
        # Three of four keep the head, so that the weights are read at all.
        head = 0 if seed % 4 == 0 else 38
        original = originals[0]
        rests = [original[head:], *(other[head:] for other in originals[1:])]
        content = original[:head] + mutated(rests, seed)
        result = tmp_path / "result"
        try:
            apply_overlay(content, bundle, result)
        except DiffError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"mutation {seed} is no DiffError") from error
        else:
            load_bundle(result)
            assert (encoder(result)[outside] == encoder(bundle)[outside]).all(), seed
            assert read_files(result).keys() == before.keys()
        shutil.rmtree(result, ignore_errors=True)
    assert read_files(bundle) == before
    # There is no sum over the whole: a changed table is another overlay, and the trial's to judge.
    assert len(seeds) * 0.5 < refused < len(seeds)


def test_mutations(bundle: Path, tmp_path: Path) -> None:
    _mutations(range(1000), bundle, tmp_path)


@pytest.mark.slow
def test_ten_thousand_mutations(bundle: Path, tmp_path: Path) -> None:
    _mutations(range(10_000), bundle, tmp_path)
