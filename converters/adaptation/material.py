"""A person's recordings as training rows, and clips of general speech as examples.

The person's voice and microphone are what is to be learnt, so little is changed about them: some
copies a little slower or faster and in another room, and per row another level, a little hiss
and colour and lighter masks than in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from agent.bundle.manifest import Bundle
from agent.hearing.features import HOPS_PER_FRAME
from converters.adaptation.importance import Example
from converters.adaptation.recordings import Recording
from converters.asr.augment import WaveformRecipe, augmented_hops
from converters.asr.corpora import read_audio
from converters.asr.development import padded_frames
from converters.asr.rows import Material, RowBuilder, RowRecipe
from converters.asr.shards import Clip
from converters.asr.text import encode, normalise
from converters.synthesis.pool import load_pool

COPIES = 4
_AS_RECORDED = WaveformRecipe(speed=(1.0, 1.0), warp_share=0.0, room_share=0.0, band_share=0.0)
_A_LITTLE = WaveformRecipe(speed=(0.94, 1.06), warp_share=0.0, room_share=0.3, band_share=0.15)
_PAUSE = 24
"""Frames around the longest clip of a row."""


def own_rows(recordings: Sequence[Recording], *, seed: int, budget: int = 1000) -> RowBuilder:
    """Batches of one person's speech.

    Args:
        recordings: what to learn from.
        seed: of every choice.
        budget: 40 ms frames of a batch.
    """
    clips = []
    for number, recording in enumerate(recordings):
        for copy in range(COPIES):
            recipe = _A_LITTLE if copy else _AS_RECORDED
            rng = np.random.default_rng([seed, number, copy])
            hops, _ = augmented_hops(recording.samples, recipe, rng)
            clips.append(Clip(hops.astype(np.float16), recording.text, recording.seconds))
    longest = max(len(clip.hops) for clip in clips) // HOPS_PER_FRAME + _PAUSE
    recipe_of_rows = RowRecipe(
        frames=(longest,), budget=budget, real_share=1.0, wake_share=0.0,
        speech_context_share=0.0, stretch=0.05, other_voice=0.0, level_nats=(-4.0, 1.0),
        noise_share=0.0, hiss_db=(28.0, 60.0), tilt_nats=0.3, frequency_masks=1, time_masks=1,
    )  # fmt: skip
    return RowBuilder(Material([], clips, [], []), recipe_of_rows, seed)


def general_examples(bundle: Bundle, pool: Path | None, count: int) -> list[Example]:
    """General speech: clips spread over a pool, or else the bundle's self-test.

    Recordings of the self-test that begin with the wake word are left out: their texts lack it.

    Args:
        bundle: whose self-test is used where there is no pool.
        pool: synthetic speech of kind "command" or "test".
        count: at most so many clips.
    """
    if pool is not None:
        found = load_pool(pool)
        step = max(1, len(found) // count)
        pairs = [(found.audio(i), found.items[i].text) for i in range(0, len(found), step)]
    else:
        pairs = [
            (read_audio(bundle.directory / entry.path), normalise(entry.text))
            for entry in bundle.manifest.selftest
            if entry.wake is None
        ]
    return [
        (torch.from_numpy(padded_frames(samples)), torch.tensor(encode(text)))
        for samples, text in pairs[:count]
        if text
    ]
