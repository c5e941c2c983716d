from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import DiffError, DiffStorageError
from agent.update.diff_format import apply_diff, read_header
from converters.updates import changed_bundles
from converters.updates.changed_bundles import change, write_pseudo_model
from converters.updates.diff_bench import added_memory, write_hashed
from converters.updates.diff_maker import DiffReport, HashedDelta, make_diff
from converters.updates.matrices import find_matrices
from firmware_models import factory_bundle
from tests.agent.update.handmade import read_files, write_files
from tests.converters.updates.test_matrices import model

MOST_ADDED = 16 * 1024 * 1024  # bytes


def there_and_back(
    base: Path, new: Path, folder: Path, hashed: HashedDelta | None = None
) -> DiffReport:
    """Makes a diff and applies it, each as anybody would."""
    out = folder / "out.diff"
    report = make_diff(base, new, out, hashed=hashed)
    assert report.size == out.stat().st_size
    result = folder / "result"
    with out.open("rb") as stream:
        apply_diff(stream, base, result)
        header = read_header(stream)
    assert (header.base_sha256, header.result_sha256) == (report.base_sha256, report.result_sha256)
    assert read_files(result) == read_files(new)
    shutil.rmtree(result, ignore_errors=True)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    return report


def test_every_way_of_a_file(tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(200))
    base = write_files(
        tmp_path / "base",
        {"gone": b"1" * 50, "moved/from": bytes(range(256)), "stays": text, "text": text},
    )
    new = write_files(
        tmp_path / "new",
        {
            "moved/to": bytes(range(256)),
            "stays": text,
            "text": text.replace(b"line 77\n", b""),
            "added": b"entirely new",
        },
    )
    report = there_and_back(base, new, tmp_path)
    assert report.added == ("added",)
    assert report.changed == ("moved/to", "text")
    assert report.removed == ("gone", "moved/from")
    assert report.copied == 1
    # The new file and the names of two; nothing of what was there.
    assert report.literals < 20
    assert report.size < 200


def test_equal_bundles(tmp_path: Path) -> None:
    base = write_files(tmp_path / "base", {"a": b"1"})
    report = there_and_back(base, base, tmp_path)
    assert report.size < 90
    assert (report.copied, report.changed_weights, report.total_weights) == (1, 0, 0)


def test_weights_scales_and_sums(tmp_path: Path) -> None:
    """A bundle as training leaves it: weights, a few constants, and the manifest's sums change."""
    new = tmp_path / "new"
    bundle = factory_bundle()
    changed = change(bundle, new, 0.002, rows=False, seed=1)
    path = new / "joiner.tflite"
    content = bytearray(path.read_bytes())
    content[420:424] = b"\x01\x02\x03\x04"  # before the first matrix
    path.write_bytes(content)
    changed_bundles._renew_manifest(new)
    report = there_and_back(bundle, new, tmp_path)
    assert report.changed_weights == changed.changed
    assert report.literals < 30
    assert report.size < 1.06 * changed.bound


def test_most_weights_change(tmp_path: Path) -> None:
    """Then bringing the model along is tried as well, and the shorter way is taken."""
    base, new = write_files(tmp_path / "base", {}), write_files(tmp_path / "new", {})
    model(base / "m.tflite", (300, 400))
    content = bytearray((base / "m.tflite").read_bytes())
    (matrix,) = find_matrices(base / "m.tflite")
    # Weights that are all alike take a few bytes to bring along, and many as changes.
    content[matrix.offset : matrix.end] = b"\x07" * 120_000
    (new / "m.tflite").write_bytes(content)
    report = there_and_back(base, new, tmp_path)
    assert report.total_weights == 0
    assert report.size < 500


def test_a_model_that_grew(tmp_path: Path) -> None:
    base, new = write_files(tmp_path / "base", {}), write_files(tmp_path / "new", {})
    model(base / "m.tflite", (300, 200))
    model(new / "m.tflite", (300, 200), (300, 10))
    report = there_and_back(base, new, tmp_path)
    assert report.total_weights == 0
    assert report.size < 3000 + 2000


def _hashed(tmp_path: Path, seed: int) -> tuple[Path, Path, HashedDelta]:
    base, new = write_files(tmp_path / "base", {}), write_files(tmp_path / "new", {})
    for name in ("a.tflite", "b.tflite", "c.tflite"):
        model(base / name, (100, 120), (500,))
    shutil.copytree(base, new, dirs_exist_ok=True)
    values = np.random.default_rng(seed).integers(-3, 4, 64).astype(np.int8)
    delta = HashedDelta(seed, values, ("a.tflite", "c.tflite"))
    write_hashed(base, new, delta)
    return base, new, delta


def test_hashed(tmp_path: Path) -> None:
    base, new, delta = _hashed(tmp_path, 7)
    report = there_and_back(base, new, tmp_path, hashed=delta)
    assert report.changed_weights == 0
    assert report.size < 250
    assert there_and_back(base, new, tmp_path).size > 10 * report.size


def test_hashed_and_corrected(tmp_path: Path) -> None:
    base, new, delta = _hashed(tmp_path, 8)
    content = bytearray((new / "c.tflite").read_bytes())
    content[-3000] ^= 1
    (new / "c.tflite").write_bytes(content)
    report = there_and_back(base, new, tmp_path, hashed=delta)
    assert report.changed_weights <= 1


def test_a_hash_that_explains_nothing_is_still_corrected(tmp_path: Path) -> None:
    base, new, delta = _hashed(tmp_path, 9)
    there_and_back(base, new, tmp_path, hashed=dataclasses.replace(delta, seed=10))


def test_a_hash_for_a_file_that_is_not_there(tmp_path: Path) -> None:
    base, new, delta = _hashed(tmp_path, 9)
    with pytest.raises(DiffError, match="not in both bundles"):
        make_diff(base, new, tmp_path / "d", hashed=dataclasses.replace(delta, files=("d.tflite",)))
    assert not (tmp_path / "d").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    base = write_files(tmp_path / "base", {"a": b"1"})
    with pytest.raises(DiffStorageError, match="cannot be written"):
        make_diff(base, base, tmp_path / "missing" / "out.diff")


def test_the_same_bundles_always_give_the_same_bytes(tmp_path: Path) -> None:
    new = tmp_path / "new"
    change(factory_bundle(), new, 0.01, rows=True, seed=3)
    contents = set()
    for number in range(2):
        make_diff(factory_bundle(), new, tmp_path / f"{number}.diff", verify=False)
        contents.add((tmp_path / f"{number}.diff").read_bytes())
    assert len(contents) == 1


_FILES = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d", "e.txt", "f.tflite"]), st.binary(max_size=120), max_size=5
)


@settings(max_examples=40)  # each makes and applies a diff on the disk
@given(base=_FILES, new=_FILES)
def test_any_two_bundles(base, new, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bundles")
    there_and_back(write_files(folder / "base", base), write_files(folder / "new", new), folder)


@pytest.mark.parametrize("rows", [False, True], ids=["random", "rows"])
def test_a_small_change_of_the_shipped_bundle_is_near_its_bound(rows: bool, tmp_path: Path) -> None:
    """The tightest cell of the table: head, plan and tables weigh most in the smallest diff."""
    changed = change(factory_bundle(), tmp_path / "new", 0.005, rows=rows, seed=5 + rows)
    report = make_diff(factory_bundle(), tmp_path / "new", tmp_path / "out.diff")
    assert changed.bound < report.size <= 1.03 * changed.bound


@pytest.mark.parametrize("rows", [False, True], ids=["random", "rows"])
def test_applying_adds_little_memory(rows: bool, tmp_path: Path) -> None:
    """Three million weights, a tenth of them changed: many blocks, one at a time in memory."""
    base, new = tmp_path / "base", tmp_path / "new"
    write_pseudo_model(base, 1)
    changed = change(base, new, 0.1, rows=rows, seed=2)
    report = make_diff(base, new, tmp_path / "out.diff", verify=False)
    assert report.size < 1.03 * changed.bound
    assert added_memory(tmp_path / "out.diff", base, tmp_path / "result") < MOST_ADDED
    assert read_files(tmp_path / "result") == read_files(new)
