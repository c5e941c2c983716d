"""Which bundle the commands hear with that are given recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import BundleConfig, Config
from agent.hearing.loading import chosen_bundle
from tests.agent.update.handmade import read_files
from tests.agent.update.toy_overlays import write_listed_toy, write_overlay


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listed_toy(tmp_path_factory.mktemp("loading") / "toy")


def test_the_command_line_is_believed_before_the_configuration(toy: Path, tmp_path: Path) -> None:
    config = Config(bundle=BundleConfig(path=str(tmp_path), overlay=str(tmp_path / "missing")))
    assert chosen_bundle(toy, config).directory == toy
    assert chosen_bundle(None, Config(bundle=BundleConfig(path=str(toy)))).directory == toy


def test_an_overlay_is_applied_whatever_a_trial_would_say(toy: Path, tmp_path: Path) -> None:
    overlay = write_overlay(tmp_path / "mine.overlay", toy, deaf="abcd")
    before = read_files(toy)
    config = Config(bundle=BundleConfig(path=str(toy), overlay=str(overlay)))
    bundle = chosen_bundle(None, config)
    made = read_files(bundle.directory)
    mine = read_files(tmp_path / "mine.overlay.bundle")
    assert made["joiner.tflite"] == mine["joiner.tflite"] != before["joiner.tflite"]
    assert read_files(toy) == before


def test_one_that_cannot_be_applied_is_left_out_with_a_warning(
    toy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for content, name in ((None, "DiffStorageError"), (b"junk", "MalformedDiffError")):
        path = tmp_path / "mine.overlay"
        if content is not None:
            path.write_bytes(content)
        config = Config(bundle=BundleConfig(path=str(toy), overlay=str(path)))
        assert chosen_bundle(None, config).directory == toy
        assert f"The overlay is not used: {name}: " in caplog.text
