from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.bundle.manifest import LayoutEntry, load_bundle, write_manifest
from agent.errors import BundleError, DiffError
from agent.update.overlay_format import apply_overlay
from converters.cli import main
from converters.updates.changed_bundles import change
from converters.updates.overlay_maker import make_overlay
from firmware_models import factory_bundle

SHAPE = (100, 10, 40)
"""Offset, rows and columns of the only matrix."""


def write_bundle(
    folder: Path, edit: Callable[[dict[str, bytearray]], None], *, listed: bool = True
) -> Path:
    """A bundle with one matrix, edited before its manifest is written."""
    content = bytearray(np.random.default_rng(1).bytes(600))
    files = {"encoder_slow.tflite": content, "CARD.md": bytearray(b"# Card\n")}
    files |= {name: bytearray(b"-") for name in ("predictor.tflite", "joiner.tflite")}
    files |= {"tokens.txt": bytearray(b"<blank>\na\n")}
    edit(files)
    folder.mkdir(parents=True)
    for name, part in files.items():
        (folder / name).write_bytes(part)
    offset, rows, cols = SHAPE
    entry = LayoutEntry(
        file="encoder_slow.tflite", tensor="t", offset=offset, rows=rows, cols=cols, scale_offset=0
    )
    layout = (entry,) if listed else ()
    write_manifest(folder, name="toy", languages=[], release=1, model="none", layout=layout)
    return folder


def nothing(_: dict[str, bytearray]) -> None:
    pass


def weights(files: dict[str, bytearray]) -> None:
    for place in (100, 250, 499):
        files["encoder_slow.tflite"][place] ^= 0x41
    files["CARD.md"] += b"mine"


def test_what_is_made_turns_one_into_the_other(tmp_path: Path) -> None:
    base, new = write_bundle(tmp_path / "base", nothing), write_bundle(tmp_path / "new", weights)
    out = tmp_path / "mine.overlay"
    report = make_overlay(base, new, out)
    assert (report.changed_weights, report.total_weights) == (3, 400)
    assert report.size == out.stat().st_size
    assert report.layout_sha256 == load_bundle(base).manifest.layout_sha256
    apply_overlay(out.read_bytes(), base, tmp_path / "result")
    made = (tmp_path / "result" / "encoder_slow.tflite").read_bytes()
    assert made == (new / "encoder_slow.tflite").read_bytes()
    # The card is the release's: nobody hears with it.
    assert (tmp_path / "result" / "CARD.md").read_bytes() == b"# Card\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def outside(files: dict[str, bytearray]) -> None:
    weights(files)
    files["encoder_slow.tflite"][99] ^= 1


def longer(files: dict[str, bytearray]) -> None:
    files["encoder_slow.tflite"] += b"1"


def other_tokens(files: dict[str, bytearray]) -> None:
    weights(files)
    files["tokens.txt"][-2:] = b"b\n"


def another_file(files: dict[str, bytearray]) -> None:
    files["language.npz"] = bytearray(b"1")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (nothing, "the same weights"),
        (outside, r"encoder_slow\.tflite differs outside of its int8 weights, at byte 99"),
        (longer, r"encoder_slow\.tflite is longer in one bundle"),
        (other_tokens, r"tokens\.txt differs outside of its int8 weights"),
        (another_file, r"Only one of the bundles has language\.npz"),
    ],
)
def test_what_an_overlay_leaves_to_the_release_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, bytearray]], None], message: str
) -> None:
    base, new = write_bundle(tmp_path / "base", nothing), write_bundle(tmp_path / "new", edit)
    with pytest.raises(DiffError, match=message):
        make_overlay(base, new, tmp_path / "mine.overlay")
    assert not (tmp_path / "mine.overlay").exists()


def test_bundles_of_two_layouts_or_of_none(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", nothing)
    for listed in (True, False):
        new = write_bundle(tmp_path / f"new-{listed}", weights, listed=False)
        with pytest.raises(DiffError, match="one architecture"):
            make_overlay(base if listed else new, new, tmp_path / "mine.overlay")
    with pytest.raises(BundleError):
        make_overlay(tmp_path / "missing", base, tmp_path / "mine.overlay")


def test_an_own_change_of_one_release_goes_over_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle that ships, as anybody would do it."""
    first, mine, second = factory_bundle(), tmp_path / "mine", tmp_path / "second"
    change(first, mine, 0.002, rows=False, seed=1)
    change(first, second, 0.01, rows=False, seed=2)
    out = tmp_path / "mine.overlay"
    assert main(["diff", str(first), str(mine), "--overlay", "--out", str(out)]) == 0
    report = make_overlay(first, mine, out)
    printed = capsys.readouterr().out
    assert f"{report.size} bytes, {report.changed_weights} of {report.total_weights}" in printed
    assert report.size < 10_000
    apply_overlay(out.read_bytes(), second, tmp_path / "both")
    both = load_bundle(tmp_path / "both")
    assert both.manifest.release == load_bundle(second).manifest.release
    old, own, new, made = (
        np.frombuffer((folder / "encoder_slow.tflite").read_bytes(), np.int8).astype(np.int16)
        for folder in (first, mine, second, tmp_path / "both")
    )
    assert (made == np.clip(new + own - old, -128, 127)).all()
    assert (made != new).any()
    assert (made != own).any()


def test_options_that_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["diff", *where, "--overlay", "--no-verify"]) == 2
    assert "--overlay goes with" in capsys.readouterr().err
