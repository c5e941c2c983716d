"""A person's recordings as training rows, and clips of general speech beside them.

The person's voice and microphone are what is to be learnt, so little is changed about them: some
copies a little slower or faster and in another room, and per row another level, a little hiss
and colour and lighter masks than in training. Where there is a pool of general speech, every other
utterance is one of it, so that what was known is rehearsed; its clips are also what tells which
weights matter for everybody. The self-test of the bundle only tells: it is what judges in the
end, so it is never learnt from.
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
_LONGEST_S = 5.0
"""Of general speech; a row must have room for it."""


def own_rows(
    recordings: Sequence[Recording], general: Sequence[Recording] = (), *, seed: int,
    budget: int = 600,
) -> RowBuilder:  # fmt: skip
    """Batches of one person's speech, and as many utterances of others.

    Args:
        recordings: what to learn from.
        general: what to rehearse, if anything.
        seed: of every choice.
        budget: 40 ms frames of a batch for the person, and half as many for the others.
    """
    own = _clips(recordings, seed, COPIES)
    others = _clips(general, seed + 1, 1)
    longest = max(len(clip.hops) for clip in own) // HOPS_PER_FRAME + _PAUSE
    recipe = RowRecipe(
        frames=(longest,), budget=budget + budget // 2 if others else budget,
        real_share=0.5 if others else 1.0, wake_share=0.0, speech_context_share=0.0,
        stretch=0.05, other_voice=0.0, level_nats=(-4.0, 1.0), noise_share=0.0,
        hiss_db=(28.0, 60.0), tilt_nats=0.3, frequency_masks=1, time_masks=1,
    )  # fmt: skip
    return RowBuilder(Material(others, own, [], []), recipe, seed)


def _clips(recordings: Sequence[Recording], seed: int, copies: int) -> list[Clip]:
    """So many copies of each; the first of several as it was recorded."""
    clips = []
    for number, recording in enumerate(recordings):
        for copy in range(copies):
            recipe = _A_LITTLE if copy or copies == 1 else _AS_RECORDED
            rng = np.random.default_rng([seed, number, copy])
            hops, _ = augmented_hops(recording.samples, recipe, rng)
            clips.append(Clip(hops.astype(np.float16), recording.text, recording.seconds))
    return clips


def general_speech(pool: Path, count: int) -> list[Recording]:
    """Clips spread over a pool of synthetic speech, none of them long.

    Raises:
        PoolError: it cannot be read.
    """
    found = load_pool(pool)
    usable = [i for i, item in enumerate(found.items) if item.text and item.seconds <= _LONGEST_S]
    chosen = usable[:: max(1, len(usable) // count)][:count]
    return [Recording(str(i), found.audio(i), found.items[i].text) for i in chosen]


def selftest_speech(bundle: Bundle) -> list[Recording]:
    """The self-test without what begins with the wake word, which its texts lack."""
    return [
        Recording(entry.path, read_audio(bundle.directory / entry.path), normalise(entry.text))
        for entry in bundle.manifest.selftest
        if entry.wake is None and entry.text
    ]


def examples_of(recordings: Sequence[Recording]) -> list[Example]:
    """Frames and labels for `importance`."""
    return [
        (torch.from_numpy(padded_frames(r.samples)), torch.tensor(encode(r.text)))
        for r in recordings
    ]
