"""Thousands of damaged diffs: each one is refused by name, or makes exactly what was promised.

Every mutation follows from its number, so a failure is repeated with `_try(NUMBER, ...)`. Numbers
that once showed a bug are kept in `KEPT` and tried in every run.
"""

from __future__ import annotations

import io
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.manifest import LayoutEntry, write_manifest
from agent.errors import DiffError
from agent.update.byte_reader import varint
from agent.update.diff_format import apply_diff, read_header
from agent.update.packed_bytes import pack
from converters.updates.weights_writer import Buckets, Changes, write_weights
from tests.agent.update import test_diff_format
from tests.agent.update.handmade import applied, diff, digest, read_files, write_files
from tests.agent.update.mutations import mutated

KEPT: tuple[int, ...] = ()
HEAD = 70  # bytes of a diff before its sizes
MOST_MEMORY = 48 * 1024  # KB that the process may grow by during a run


class Target:
    """A base, a result and the diff between them."""

    def __init__(self, folder: Path, base: dict[str, bytes], content: bytes) -> None:
        self.base = write_files(folder / "base", base)
        self.content = content
        self.result = digest(applied(content, self.base, folder / "result"))


def _everything(folder: Path) -> Target:
    """Listed matrices, hashed and sparse layers, row classes, packed literals, sums."""
    generator = np.random.default_rng(1)
    base = {"encoder_slow.tflite": generator.bytes(2600), "t.txt": b"some text " * 40}
    place = write_files(folder / "made", base)
    layout = tuple(
        LayoutEntry(file="encoder_slow.tflite", tensor="t", offset=o, rows=20, cols=50,
                    scale_offset=0)
        for o in (100, 1200)
    )  # fmt: skip
    write_manifest(place, name="toy", languages=[], release=1, model="none", layout=layout)
    base = read_files(place)
    density = generator.choice([0.0, 0.1, 0.7], 60)
    cells = np.flatnonzero(generator.random((60, 50)) < density[:, None])
    amounts = generator.choice([-1, 1, 2, 40], len(cells)).astype(np.int16)
    weights = write_weights(
        Changes([(20, 50)] * 3, cells, amounts),
        Buckets(5, generator.integers(-3, 4, 16).astype(np.int8)),
    )
    # The model's two listed matrices; then another file from it, hashed; then sums.
    plan = b"\0\4" + b"".join(
        [
            b"\1\1\2" + varint(2 * 8 + 7) + varint(400 * 8),
            b"\0\5m/two\2\1\2" + varint(20 * 8 + 5) + varint(50) + varint(1600 * 8),
            b"\3\1\1" + varint(400 * 8 + 1),
            b"\2\1\3" + varint(3 * 8) + varint(1 * 8 + 6) + varint(9 * 8),
        ]
    )
    literals = b"other text, " * 33 + b"1234"
    packed = b"".join([varint(len(plan)), pack(plan), pack(literals), weights])
    header = b"VDIF\x01\x00" + bytes.fromhex(digest(base)) + bytes(32)
    # The size and the digest of the result are known once it was made.
    (folder / "try").mkdir()
    with pytest.raises(DiffError, match="another bundle"):
        apply_diff(io.BytesIO(header + varint(1) + packed), place, folder / "try" / "result")
    result = read_files(folder / "try" / "result")
    size = sum(map(len, result.values()))
    return Target(folder, base, header[:38] + bytes.fromhex(digest(result)) + varint(size) + packed)


def _targets(folder: Path) -> list[Target]:
    golden = write_files(folder / "golden", {})
    kept = {"a": b"same", "b": b"other"}
    swap = diff(kept, {"a": b"other", "c": b"same"}, plan=bytes.fromhex(
        "01 02 02 01 02 02 01 28 00 01 63 02 01 01 20"
    ))  # fmt: skip
    return [
        Target(golden, test_diff_format.BASE, test_diff_format.GOOD),
        Target(folder / "swap", kept, swap),
        _everything(folder / "everything"),
    ]


def _try(seed: int, targets: list[Target], folder: Path) -> bool:
    """Applies one mutation; True if it was refused."""
    target = targets[seed % len(targets)]
    # Three of four keep the head with the digests, so that the rest is read at all.
    head = 0 if seed % 4 == 0 else HEAD
    rests = [target.content[head:], *(other.content[head:] for other in targets)]
    content = target.content[:head] + mutated(rests[: 1 + seed % 3], seed)
    result = folder / "result"
    try:
        files = apply_diff(io.BytesIO(content), target.base, result)
    except DiffError:
        refused = True
    except Exception as error:
        raise AssertionError(f"mutation {seed} is no DiffError") from error
    else:
        refused = False
        promised = read_header(io.BytesIO(content))
        made = read_files(result)
        assert digest(made) == promised.result_sha256 == target.result, f"mutation {seed}"
        assert sum(file.length for file in files) == promised.result_bytes, f"mutation {seed}"
    shutil.rmtree(result, ignore_errors=True)
    return refused


def _run(seeds: range, tmp_path: Path) -> None:
    targets = _targets(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = sum(_try(seed, targets, tmp_path) for seed in (*KEPT, *seeds))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # Some mutations only touch what is skipped; all of them refused would be a test of nothing.
    assert len(seeds) * 0.9 < refused < len(seeds) + len(KEPT)
    assert grown < MOST_MEMORY
    for target in targets:
        assert digest(read_files(target.base)) in target.content.hex()


def test_mutations(tmp_path: Path) -> None:
    _run(range(3000), tmp_path)


@pytest.mark.slow
def test_ten_thousand_mutations(tmp_path: Path) -> None:
    _run(range(10_000), tmp_path)
