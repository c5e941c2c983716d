from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.update.bundle_files import bundle_paths
from converters.updates.changed_bundles import change, write_pseudo_model
from converters.updates.diff_bench import measure
from converters.updates.matrices import find_matrices
from converters.updates.rivals import RIVALS, archive
from firmware_models import factory_bundle
from tests.agent.update.handmade import write_files


@pytest.mark.slow
def test_a_few_cells_of_the_table() -> None:
    """The whole table takes minutes: `voice-converters diff --bench`."""
    lines = []
    for line in measure(factory_bundle(), (0.005,)):
        lines.append(line)
        if line.case.startswith("rows") and line.model != "pseudo":
            break
    assert [(line.model, line.case) for line in lines] == [
        ("pseudo", "random 0.5%"), ("pseudo", "rows 0.5%"),
        ("command_en", "random 0.5%"), ("command_en", "rows 0.5%"),
    ]  # fmt: skip
    for line in lines:
        assert 1 < line.ratio <= 1.03, line
        sizes = [size for size in line.rivals.values() if size is not None]
        assert line.size < min(sizes), line
        assert line.memory <= 16 * 1024 * 1024, line


def test_what_is_changed_is_what_is_said(tmp_path: Path) -> None:
    base = tmp_path / "base"
    write_pseudo_model(base, 1)
    (matrices,) = [find_matrices(base / path) for path in bundle_paths(base)]
    assert sum(matrix.rows * matrix.columns for matrix in matrices) == 3_110_400
    before = np.frombuffer((base / "model.tflite").read_bytes(), np.int8)
    for rows in (False, True):
        new = tmp_path / f"rows-{rows}"
        changed = change(base, new, 0.01, rows=rows, seed=1)
        after = np.frombuffer((new / "model.tflite").read_bytes(), np.int8)
        assert np.count_nonzero(before != after) == changed.changed
        assert changed.weights == 3_110_400
        assert abs(changed.changed / changed.weights - 0.01) < 0.0005
        touched = sum(
            np.any((before != after)[m.offset : m.end].reshape(m.rows, m.columns), axis=1).sum()
            for m in matrices
        )
        total = sum(m.rows for m in matrices)
        # Row-wise, a fiftieth of the rows changes; at random places nearly all do.
        assert abs(touched / total - (0.02 if rows else 0.95)) < 0.03


def test_the_bound_is_the_entropy_of_places_and_steps(tmp_path: Path) -> None:
    base = tmp_path / "base"
    write_pseudo_model(base, 1)
    changed = change(base, tmp_path / "new", 0.01, rows=False, seed=1)
    # One weight of a hundred: H(0.01) = 0.0808 bit for each weight. A step of two-sided geometric
    # law with 0.6 has 1 bit for the sign and H(0.6) / 0.6 = 1.618 bit for the size.
    expected = (0.080793 * changed.weights + 2.6183 * changed.changed) / 8
    assert changed.bound == pytest.approx(expected, rel=0.003)


def test_an_archive_has_no_times_in_it(tmp_path: Path) -> None:
    one = write_files(tmp_path / "one", {"a": b"1", "b/c": b"2"})
    two = write_files(tmp_path / "two", {"b/c": b"2", "a": b"1"})
    assert archive(one) == archive(two)
    assert archive(write_files(tmp_path / "three", {"a": b"1"})) == b"1"


def test_tools_that_are_here_give_a_size() -> None:
    old = np.random.default_rng(1).bytes(4000)
    new = old[:2000] + b"!" + old[2001:]
    sizes = {name: rival(old, new) for name, rival in RIVALS.items()}
    assert sizes["new, xz"] is not None
    assert sizes["new, xz"] > 3900
    for name, size in sizes.items():
        if name != "new, xz" and size is not None:
            assert size < 1000, name
