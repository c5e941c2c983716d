"""A bundle with packed models hears, is refused, updated and overlaid as any other."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.loading import load_model, model_content
from agent.bundle.manifest import MANIFEST, load_bundle
from agent.bundle.packed import is_packed
from agent.bundle.schema import Manifest, manifest_bytes
from agent.config import Config
from agent.errors import BundleFileError
from agent.hearing.features import BLOCK
from agent.hearing.pipeline import Pipeline
from agent.hearing.resampler import to_int16
from agent.hearing.session_events import Finished, SessionEvent
from agent.update.bundle_files import bundle_digest, digest_files
from agent.update.overlay_format import apply_overlay
from converters.export.packing import pack_models
from converters.updates.diff_maker import make_diff
from converters.updates.overlay_maker import make_overlay
from tests.agent.toy_bundle import tones, write_toy_manifest
from tests.agent.update.board import Board
from tests.agent.update.handmade import read_files
from tests.agent.update.toy_overlays import change_joiner, write_listed_toy, write_overlay

MODELS = ("encoder_slow.tflite", "joiner.tflite", "predictor.tflite", "wake/beep.tflite")


def packed_copy(plain: Path, folder: Path) -> Path:
    """The same bundle with packed models."""
    shutil.copytree(plain, folder)
    manifest = load_bundle(folder).manifest
    pack_models(folder, manifest.layout)
    write_toy_manifest(folder, manifest.wake, manifest.selftest, manifest.layout)
    change_manifest(folder, release=manifest.release)
    return folder


def change_manifest(folder: Path, **changes: object) -> Manifest:
    manifest = load_bundle(folder, verify=False).manifest
    changed = dataclasses.replace(manifest, **changes)  # type: ignore[arg-type]
    (folder / MANIFEST).write_bytes(manifest_bytes(changed))
    return changed


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listed_toy(tmp_path_factory.mktemp("packed") / "plain")


@pytest.fixture
def packed(plain: Path, tmp_path: Path) -> Path:
    return packed_copy(plain, tmp_path / "packed")


def test_what_lies_there_is_packed_and_smaller(plain: Path, packed: Path) -> None:
    before, after = load_bundle(plain).manifest, load_bundle(packed).manifest
    for path in MODELS:
        old, new = before.find(path), after.find(path)
        assert old is not None
        assert new is not None
        assert is_packed((packed / path).read_bytes())
        assert new.bytes < old.bytes
        assert (new.unpacked_sha256, old.unpacked_sha256) == (old.sha256, None)
        assert model_content(load_bundle(packed), path) == (plain / path).read_bytes()
    # Layouts, and so overlays, are those of the inflated files.
    assert after.layout_sha256 == before.layout_sha256


def test_it_hears_the_same(packed: Path) -> None:
    pipeline = Pipeline(load_bundle(packed), Config())
    samples = np.pad(tones("_*a dc."), (0, 40 * BLOCK))
    events: list[SessionEvent] = []
    for block in to_int16(samples[: len(samples) // BLOCK * BLOCK]).reshape(-1, BLOCK):
        events += pipeline.process(block)
    assert [event.text for event in events if isinstance(event, Finished)] == ["a dc"]


def test_a_damaged_file_is_refused_before_it_is_inflated(packed: Path) -> None:
    path = packed / "joiner.tflite"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleFileError, match=r"joiner\.tflite was altered: its SHA-256 differs"):
        load_bundle(packed)
    with pytest.raises(BundleFileError, match="restore the bundle"):
        load_model(load_bundle(packed, verify=False), "joiner.tflite")


def test_other_bytes_than_promised_are_refused(packed: Path) -> None:
    files = tuple(
        dataclasses.replace(entry, unpacked_sha256="0" * 64 if entry.unpacked_sha256 else None)
        for entry in load_bundle(packed).manifest.files
    )
    change_manifest(packed, files=files)
    # The file itself is what the manifest lists, so this shows only when it is inflated.
    with pytest.raises(BundleFileError, match=r"tflite inflates to other bytes than the manifest"):
        Pipeline(load_bundle(packed), Config())


def test_a_manifest_that_is_wrong_about_packing_is_refused(plain: Path, packed: Path) -> None:
    files = tuple(
        dataclasses.replace(entry, unpacked_sha256=None)
        for entry in load_bundle(packed).manifest.files
    )
    change_manifest(packed, files=files, layout=(), layout_sha256=None)
    with pytest.raises(BundleFileError, match=r"joiner\.tflite is not a \.tflite file"):
        load_model(load_bundle(packed), "joiner.tflite")
    copy = Path(shutil.copytree(plain, packed.with_name("called packed")))
    files = tuple(
        dataclasses.replace(entry, unpacked_sha256=entry.sha256)
        for entry in load_bundle(copy).manifest.files
    )
    change_manifest(copy, files=files)
    with pytest.raises(BundleFileError, match="is not a packed model file; restore the bundle"):
        load_model(load_bundle(copy), "joiner.tflite")


def test_an_overlay_over_it_gives_the_plain_models(
    plain: Path, packed: Path, tmp_path: Path
) -> None:
    content = write_overlay(tmp_path / "mine.overlay", plain, deaf="d").read_bytes()
    apply_overlay(content, plain, tmp_path / "over plain")
    apply_overlay(content, packed, tmp_path / "over packed")
    expected, found = read_files(tmp_path / "over plain"), read_files(tmp_path / "over packed")
    assert expected.keys() == found.keys()
    for path in MODELS:
        assert found[path] == expected[path]
    manifest = load_bundle(tmp_path / "over packed").manifest
    assert not any(entry.unpacked_sha256 for entry in manifest.files)


def test_an_overlay_is_made_from_packed_bundles(plain: Path, packed: Path, tmp_path: Path) -> None:
    def change(weights: np.ndarray) -> None:
        weights[1, 2] += 5

    changed = Path(shutil.copytree(plain, tmp_path / "changed"))
    change_joiner(changed, change)
    make_overlay(plain, changed, tmp_path / "plain.overlay")
    other = packed_copy(changed, tmp_path / "changed and packed")
    make_overlay(packed, other, tmp_path / "packed.overlay")
    overlays = [(tmp_path / name).read_bytes() for name in ("plain.overlay", "packed.overlay")]
    assert overlays[0] == overlays[1]


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, True)])
def test_diffs_between_packed_and_plain_releases(
    before: bool, after: bool, plain: Path, tmp_path: Path
) -> None:
    two = write_listed_toy(tmp_path / "two", release=2)
    base = packed_copy(plain, tmp_path / "base") if before else plain
    new = packed_copy(two, tmp_path / "new") if after else two
    # It is applied on the way, and compared with what it is to make.
    report = make_diff(base, new, tmp_path / "diff")
    assert report.result_sha256 == bundle_digest(digest_files(new))
    assert report.total_weights == 0
    assert "joiner.tflite" in report.changed + report.added


@pytest.mark.parametrize("base", [None, 1], ids=["full image", "diff"])
def test_a_board_is_updated_to_a_packed_release(
    plain: Path, tmp_path: Path, base: int | None
) -> None:
    board = Board(tmp_path)
    two = board.folder / "bundles" / "2"
    packed_copy(plain, two)
    change_manifest(two, release=2)
    board.publish(2, base=base)
    board.machine(trial=lambda bundle, base, limits: None).run(None)
    slot, release = board.running()
    assert (slot, release) == ("a", 2)
    bundle = load_bundle(board.state / "slots" / slot)
    for path in MODELS:
        assert model_content(bundle, path) == (plain / path).read_bytes()
