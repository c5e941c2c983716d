from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.update.diff_base import Matrix, read_layout
from converters.export.authoring import GraphAuthor
from converters.updates.matrices import find_matrices
from firmware_models import factory_bundle


def model(path: Path, *shapes: tuple[int, ...]) -> dict[tuple[int, ...], np.ndarray]:
    author = GraphAuthor("a model")
    constants = {}
    for number, shape in enumerate(shapes):
        values = np.random.default_rng(number).integers(-127, 128, shape).astype(np.int8)
        author.constant(f"weight{number}", values)
        constants[shape] = values
    path.write_bytes(author.bytes())
    return constants


def content(path: Path, matrix: Matrix) -> np.ndarray:
    values = np.frombuffer(path.read_bytes(), np.int8)[matrix.offset : matrix.end]
    return values.reshape(matrix.rows, matrix.columns)


def test_matrices_are_found_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    constants = model(path, (20, 30), (8, 5, 4), (3, 3))
    found = find_matrices(path)
    # The third has nine weights: too few to be worth a piece.
    shapes = sorted((matrix.rows, matrix.columns) for matrix in found)
    assert shapes == [(8, 20), (20, 30)]
    for matrix in found:
        shape = {(20, 30): (20, 30), (8, 20): (8, 5, 4)}[matrix.rows, matrix.columns]
        assert (content(path, matrix) == constants[shape].reshape(matrix.rows, -1)).all()


def test_vectors_are_cut_into_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    model(path, (600,))
    first, second = find_matrices(path)
    assert (first.rows, first.columns, second.rows, second.columns) == (2, 256, 1, 88)
    assert first.end == second.offset


def test_rows_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    model(path, (2, 40_000))
    found = find_matrices(path)
    assert sum(matrix.rows * matrix.columns for matrix in found) == 80_000
    assert max(matrix.columns for matrix in found) == 256


def test_other_files_have_none(tmp_path: Path) -> None:
    for name, data in (("m.tflite", b"no model at all" * 9), ("m.tflite", b""), ("m.bin", b"1")):
        (tmp_path / name).write_bytes(data)
        assert find_matrices(tmp_path / name) == ()


def test_a_damaged_model_is_any_other_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    model(path, (20, 30))
    whole = path.read_bytes()
    for seed in range(60):
        generator = np.random.default_rng(seed)
        damaged = bytearray(whole)
        for place in generator.integers(0, 400, 6):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        for matrix in find_matrices(path):
            assert 0 <= matrix.offset < matrix.end <= len(damaged)


def test_the_manifest_of_the_shipped_bundle_lists_what_is_found() -> None:
    """So its diffs need not say where matrices lie."""
    bundle = factory_bundle()
    for file, listed in read_layout(bundle).items():
        assert set(listed) <= set(find_matrices(bundle / file))
