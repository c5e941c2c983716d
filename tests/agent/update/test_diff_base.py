from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.bundle.manifest import LayoutEntry, write_manifest
from agent.bundle.schema import parse_manifest
from agent.errors import BaseMismatchError, BundleFileError
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.diff_base import Base, Matrix, listed_matrices, open_base, read_layout
from firmware_models import factory_bundle
from tests.agent.update.handmade import digest, write_files


def _entry(file: str, offset: int, rows: int, cols: int) -> LayoutEntry:
    return LayoutEntry(file=file, tensor="t", offset=offset, rows=rows, cols=cols, scale_offset=0)


def test_matrices_in_order_without_overlap() -> None:
    shipped = parse_manifest((factory_bundle() / "manifest.json").read_bytes())
    manifest = dataclasses.replace(
        shipped,
        layout=(
            _entry("b", 40, 2, 10),
            _entry("a", 7, 1, 3),
            _entry("b", 0, 4, 10),
            _entry("b", 59, 1, 9),  # begins inside of the one at 40
            _entry("b", 60, 1, (1 << 15) + 1),  # has more columns than a block holds
            _entry("b", 70, 1, 1),
        ),
    )
    assert listed_matrices(manifest) == {
        "a": [Matrix(7, 1, 3)],
        "b": [Matrix(0, 4, 10), Matrix(40, 2, 10), Matrix(70, 1, 1)],
    }


def test_matrices_from_a_byte_on() -> None:
    matrices = [Matrix(0, 4, 10), Matrix(40, 2, 10)]
    asked = []

    def layout() -> dict[str, list[Matrix]]:
        asked.append(1)
        return {"b": matrices}

    base = Base({"b": 99, "a": 1, "B": 1}, layout)
    assert base.paths == ["B", "a", "b"]
    assert not asked
    assert [len(base.listed("b", cursor)) for cursor in (0, 1, 40, 41)] == [2, 1, 1, 0]
    assert base.listed("a", 0) == ()
    assert len(asked) == 1


def test_the_shipped_bundle_lists_its_matrices() -> None:
    layout = read_layout(factory_bundle())
    assert len(layout["encoder_slow.tflite"]) >= 8


def test_no_manifest_and_a_broken_one(tmp_path: Path) -> None:
    assert read_layout(tmp_path) == {}
    (tmp_path / "manifest.json").write_text("{")
    assert read_layout(tmp_path) == {}


def test_opened_by_digest(tmp_path: Path) -> None:
    files = {"a": b"one", "b/c": b""}
    folder = write_files(tmp_path / "bundle", files)
    assert open_base(folder, digest(files)).lengths == {"a": 3, "b/c": 0}
    with pytest.raises(BaseMismatchError, match="not the bundle that the diff starts from"):
        open_base(folder, digest({"a": b"two"}))


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleFileError):
        open_base(tmp_path / "missing", "0" * 64)
    folder = write_files(tmp_path / "bundle", {"a": b"one"})
    (folder / "link").symlink_to("a")
    with pytest.raises(BaseMismatchError, match="no bundle"):
        open_base(folder, "0" * 64)


def test_a_written_manifest_is_read_back(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"encoder_slow.tflite": bytes(600), "tokens.txt": b"a\n"})
    write_manifest(
        folder,
        name="toy",
        languages=["en"],
        release=1,
        model="none",
        layout=(_entry("encoder_slow.tflite", 100, 5, 20),),
    )
    assert read_layout(folder) == {"encoder_slow.tflite": [Matrix(100, 5, 20)]}
    assert open_base(folder, bundle_digest(digest_files(folder))).listed(
        "encoder_slow.tflite", 0
    ) == [Matrix(100, 5, 20)]
