"""Rows: what lies in them, what they are reproducible from, how processes share them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from converters.asr.rows import PHONE_DELAY, Material, RowBuilder, RowRecipe
from converters.asr.shards import Clip
from converters.asr.text import decode


def clip(text: str, hops: int, level: float = 0.0, event: int | None = None) -> Clip:
    return Clip(np.full((hops, 64), level, np.float16), text, hops / 100, event)


QUIET = RowRecipe(
    frames=(100,), budget=1000, level_nats=(0.0, 0.0), noise_share=0.0, hiss_db=(80.0, 90.0),
    tilt_nats=0.0, stretch=0.0, other_voice=0.0, frequency_masks=0, time_masks=0,
    speech_context_share=0.0, wake_share=0.0,
)  # fmt: skip


def builder(recipe: RowRecipe = QUIET, **kinds: list[Clip]) -> RowBuilder:
    material = {"synthetic": [], "real": [], "wake": [], "noise": [], **kinds}
    return RowBuilder(Material(**material), recipe, seed=1)


def loud(frames: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Frames [..., 256] in which most hops are loud."""
    return np.median(frames, axis=-1) > -2.0


def test_row_holds_its_text_and_nothing_else() -> None:
    batch = builder(synthetic=[clip("ab", 100)]).batch(0)
    assert batch.frames.shape == (10, 100, 256)
    for row, count in zip(batch.frames, batch.labels, strict=True):
        # "ab" per 25 loud frames, joined by spaces: n utterances have 3n - 1 labels.
        utterances = (count + 1) / 3
        assert utterances >= 1
        assert abs(loud(row).sum() - 25 * utterances) <= utterances
    assert decode(batch.targets[0]) == " ".join(["ab"] * int((batch.labels[0] + 1) / 3))
    assert batch.source_s == float((batch.labels + 1).sum() / 3)


def test_phones_lag_behind_the_sound() -> None:
    spoken = Clip(
        np.zeros((80, 64), np.float16), "ab", 0.8, phones=np.full(80, 7, np.int8)
    )
    batch = builder(synthetic=[spoken]).batch(0)
    for row, phones in zip(batch.frames, batch.phones, strict=True):
        begin = int(np.flatnonzero(row.reshape(-1, 64).mean(axis=1) > -2.0)[0])
        heard = int(np.flatnonzero(phones.reshape(-1) == 7)[0])
        assert heard == begin + PHONE_DELAY


def test_context_is_heard_and_not_written() -> None:
    recipe = dataclasses.replace(QUIET, wake_share=1.0, context_jitter=(0, 1))
    rows = builder(recipe, synthetic=[clip("ab", 60)], wake=[clip("", 80, event=40)])
    batch = rows.batch(0)
    assert (batch.context >= 10).all()
    for row, context in zip(batch.frames, batch.context, strict=True):
        # The wake word ends at hop 40 of its clip: ten loud frames, all inside the context.
        assert loud(row[:context]).sum() >= 9
    assert "ab" in decode(batch.targets[0])


def test_same_index_same_batch_and_ranks_share_it() -> None:
    rows = builder(synthetic=[clip("ab", 50), clip("cd", 70)])
    whole, again = rows.batch(3), rows.batch(3)
    np.testing.assert_array_equal(whole.frames, again.frames)
    halves = [rows.batch(3, rank, 2) for rank in range(2)]
    for rank, half in enumerate(halves):
        np.testing.assert_array_equal(half.frames, whole.frames[rank::2])
        np.testing.assert_array_equal(half.labels, whole.labels[rank::2])
    assert not np.array_equal(rows.batch(4).labels, whole.labels) or not np.array_equal(
        rows.batch(4).frames, whole.frames
    )


def test_level_is_a_shift_of_log_power() -> None:
    loud_row = builder(synthetic=[clip("ab", 100)]).batch(0).frames.max()
    quieter = dataclasses.replace(QUIET, level_nats=(-3.0, -3.0))
    assert abs(builder(quieter, synthetic=[clip("ab", 100)]).batch(0).frames.max()
               - (loud_row - 3.0)) < 0.01  # fmt: skip


def test_noise_is_mixed_at_the_asked_ratio() -> None:
    recipe = dataclasses.replace(QUIET, noise_share=1.0, noise_db=(10.0, 10.0))
    rows = builder(recipe, synthetic=[clip("ab", 100)], noise=[clip("", 500, level=-4.0)])
    frames = rows.batch(0).frames
    pause = np.median(frames[~loud(frames)])
    # Speech has power exp(0) = 1 in every band; ten decibels below is log(0.1).
    assert abs(pause - np.log(0.1)) < 0.1


def test_masks_cover_what_they_say() -> None:
    recipe = dataclasses.replace(
        QUIET, frequency_masks=1, frequency_width=10, time_masks=1, time_width=8
    )
    masks = builder(recipe, synthetic=[clip("ab", 100)]).batch(0).masks
    bands = masks.reshape(10, 100, 4, 64).all(axis=(1, 2)).sum(axis=1)
    times = masks.all(axis=2).sum(axis=1)
    assert bands.max() <= 10
    assert times.max() <= 8
    assert bands.max() > 0
    assert times.max() > 0
