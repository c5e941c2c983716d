"""Rows as long as the utterances need, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from converters.asr.row_lengths import fitting_lengths
from converters.asr.rows import Material, RowBuilder, RowRecipe
from converters.asr.shards import Clip

OFFERED = (70, 90, 115, 150, 200, 270, 360, 450, 540)


@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        # 100 hops, a tenth longer, and 20 of pause are 130 hops: 33 frames.
        ([100], (70,)),
        # A row of 70 frames has room for (280 - 20) / 1.1 = 236 hops.
        ([236], (70,)),
        ([237], (90,)),
        # Half fit into 70 frames; the others, of 1000 hops, need (1100 + 20) / 4 = 280 frames.
        ([100, 1000], (70, 90, 115, 150, 200, 270, 360)),
        # One in four of read speech is short enough for the shortest row.
        ([236, 1400, 1500, 1600], (70, 90, 115, 150, 200, 270, 360, 450)),
        ([1200, 1400, 1500, 1600], (360, 450)),
        ([5000], (540,)),
    ],
)
def test_fitting_lengths(hops: list[int], expected: tuple[int, ...]):
    assert fitting_lengths(OFFERED, np.array(hops), 0.1) == expected


def _clip(seconds: float) -> Clip:
    return Clip(np.zeros((round(100 * seconds), 64), np.float16), "word " * 7 + "word", seconds)


def test_long_utterances_are_learnt_from():
    material = Material(synthetic=[], real=[_clip(12.0)] * 3, wake=[], noise=[])
    recipe = RowRecipe(budget=2000, speech_context_share=0.0, long_frames=(200, 270, 360, 450, 540))
    batch = RowBuilder(material, recipe, 1).batch(0)
    assert batch.frames.shape[1] == 360
    # Every row has one utterance of eight words.
    assert batch.labels.tolist() == [39] * len(batch.frames)
    assert batch.source_s == 12.0 * len(batch.frames)


def test_rows_for_commands_stay_as_they_were():
    material = Material(synthetic=[_clip(2.0)] * 3, real=[], wake=[], noise=[])
    rows = RowBuilder(material, RowRecipe(budget=300), 1)
    assert {rows.batch(i).frames.shape[1] for i in range(30)} == set(RowRecipe.frames)


def test_without_wake_words_few_rows_begin_with_other_speech():
    material = Material(synthetic=[_clip(1.0)] * 3, real=[], wake=[], noise=[])
    contexts = RowBuilder(material, RowRecipe(budget=90_000), 1).batch(0).context
    assert len(contexts) > 500
    # One row in twenty, not also the three in ten that would begin with a wake word.
    assert 0.02 < np.mean(contexts > 0) < 0.09
