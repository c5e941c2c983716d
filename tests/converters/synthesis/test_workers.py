"""Whole pools by real engines and processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.synthesis.errors import MissingResourceError
from converters.synthesis.pool import PoolWriter, load_pool
from converters.synthesis.recipe import Recipe
from converters.synthesis.rendering import Voices
from converters.synthesis.workers import fill, make_utterance


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def needs_engines(cache_folder: Path):
    voices = Voices(cache_folder)
    try:
        voices.versions(["espeak", "festival", "flite"])
    except MissingResourceError as error:
        pytest.skip(str(error))
    finally:
        voices.close()


def make(folder: Path, recipe: Recipe, count: int, jobs: int, cache_folder: Path) -> int:
    with PoolWriter(folder, {"recipe": repr(recipe)}) as writer:
        return fill(
            writer,
            recipe,
            hours=None,
            count=count,
            jobs=jobs,
            cache_folder=cache_folder,
            report=lambda state, failed: None,
        )


def test_jobs_and_interruptions_leave_no_trace(tmp_path: Path, cache_folder: Path):
    recipe = Recipe.make("command", 11)
    assert make(tmp_path / "one", recipe, 24, 1, cache_folder) == 0
    make(tmp_path / "two", recipe, 9, 2, cache_folder)
    make(tmp_path / "two", recipe, 24, 2, cache_folder)
    for name in ("audio.i16", "manifest.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert [item.index for item in load_pool(tmp_path / "one").items] == list(range(24))


def test_a_pool_of_enough_hours_is_left_alone(tmp_path: Path, cache_folder: Path):
    recipe = Recipe.make("command", 11)
    make(tmp_path, recipe, 4, 1, cache_folder)
    with PoolWriter(tmp_path, {"recipe": repr(recipe)}) as writer:
        fill(
            writer,
            recipe,
            hours=0.0001,
            count=None,
            jobs=1,
            cache_folder=cache_folder,
            report=lambda state, failed: None,
        )
        assert writer.count == 4


def test_wake_examples_mark_where_the_phrase_ends(cache_folder: Path):
    recipe = Recipe.make("wake", 5, "computer")
    voices = Voices(cache_folder)
    seen = set()
    for index in range(40):
        _, item, samples = make_utterance(voices, recipe, index)
        assert item is not None
        seen.add(item.cell)
        if index % 2:
            assert item.phrase_end_s is None
            continue
        # "computer" lasts 0.35 to 0.95 s at these rates, after a margin of 0.1 s at most.
        assert item.phrase_end_s is not None
        assert 0.25 < item.phrase_end_s < 1.3
        after = len(samples) / 16_000 - item.phrase_end_s
        if item.cell == "positive-alone":
            assert after == pytest.approx(0.1, abs=0.101)
        else:
            assert after > 0.2
        if item.cell == "positive-gap":
            quiet = samples[round((item.phrase_end_s + 0.005) * 16_000) :][:800]
            assert np.abs(quiet.astype(int)).max() < 0.02 * 32767
    voices.close()
    assert {"positive-alone", "positive-gap", "positive-together"} <= seen
