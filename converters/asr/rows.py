"""Rows of a training batch, cut from cached clips with hardly any padding.

A row is a stretch of sound of fixed length: perhaps a context that the encoder hears but the
decoder ignores (a wake word, someone else's speech, silence), then one or more utterances with
pauses, then silence. Tempo and voice are drawn per utterance, level, noise, colouring and
masking per row, all on the features: band powers of independent sounds add, so noise is mixed as
log(exp a + exp b).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.asr.row_lengths import SHORTEST_TAIL, fitting_lengths
from converters.asr.shards import Clip
from converters.asr.units import LETTERS, Units
from converters.asr.warping import varied
from converters.synthesis.phones import UNKNOWN

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

PHONE_DELAY = 6
"""Hops by which the phones lag behind the sound: a sound is known by what follows it, too."""
_SILENCE = -13.0
"""Log band power of a digital pause, just above the floor of the features."""


@dataclass(frozen=True)
class RowRecipe:
    """Chances and ranges of everything that is drawn per row."""

    frames: tuple[int, ...] = (70, 90, 115, 150)
    """Lengths of rows; all rows of a batch share one."""
    long_frames: tuple[int, ...] = ()
    """Lengths to add as far as utterances need them; then short ones may be given up, too."""
    budget: int = 4000
    """Frames of a batch."""
    real_share: float = 0.2
    """Share of utterances that are real recordings."""
    wake_share: float = 0.3
    """Share of rows whose context ends with a wake word."""
    speech_context_share: float = 0.05
    """Share of rows whose context is the end of another utterance."""
    context_jitter: tuple[int, int] = (-5, 3)
    """Frames by which the end of the context is misjudged, as a wake detector would."""
    stretch: float = 0.1
    """Largest change of an utterance's duration, as a share, on top of that of its cached copy."""
    other_voice: float = 0.8
    """Share of utterances that are said by a made-up voice, see `warping.py`."""
    level_nats: tuple[float, float] = (-8.0, 1.0)
    """Range of gain on log power: -35 to +4 dB on clips that peak at -3 dBFS."""
    noise_db: tuple[float, float] = (4.0, 30.0)
    """Speech-to-noise ratio of recorded noise."""
    noise_share: float = 0.5
    hiss_db: tuple[float, float] = (22.0, 55.0)
    """Ratio of speech to the stationary hiss that every row has."""
    tilt_nats: float = 0.9
    """Strength of random colouring (smooth curves over the bands)."""
    frequency_masks: int = 2
    frequency_width: int = 10
    time_masks: int = 2
    time_width: int = 4
    """SpecAugment (Park et al. 2019); widths are largest values, in bands and frames."""


@dataclass(frozen=True)
class Batch:
    """What one training step needs."""

    frames: Floats
    """float32 [B, T, 256]."""
    masks: NDArray[np.bool_]
    """bool [B, T, 256]: what SpecAugment hides."""
    context: NDArray[np.int64]
    targets: NDArray[np.int64]
    labels: NDArray[np.int64]
    phones: NDArray[np.int64]
    """int64 [B, T, 4]: what was sounded `PHONE_DELAY` hops before each hop; -1: unknown."""
    source_s: float
    """Seconds of recordings in the batch, before pauses and contexts."""


@dataclass(frozen=True)
class Material:
    """What rows are cut from."""

    synthetic: Sequence[Clip]
    real: Sequence[Clip]
    wake: Sequence[Clip]
    noise: Sequence[Clip]


class RowBuilder:
    """Draws batches; batch ``i`` depends only on the seed, on ``i`` and on the material."""

    def __init__(
        self, material: Material, recipe: RowRecipe, seed: int, units: Units = LETTERS
    ) -> None:
        self._material = material
        self._recipe = recipe
        self._seed = seed
        self._units = units
        # Real sentences are rarer than real words and teach more: they are drawn by length.
        words = np.array([1 + clip.text.count(" ") for clip in material.real], np.float64)
        self._real_odds = np.cumsum(words) / max(1.0, words.sum())
        # Band powers of Gaussian noise fluctuate like chi-squared variables whose degrees of
        # freedom grow with the bins under a band. Drawn once: it costs more than the rest.
        shape = np.linspace(1.0, 8.0, MELS)
        hiss = np.random.default_rng(seed).gamma(shape, 1.0 / shape, (_HISS_HOPS, MELS))
        self._hiss = hiss.astype(np.float32)
        self._lengths = recipe.frames
        if recipe.long_frames:
            offered = (*recipe.frames, *recipe.long_frames)
            drawn = self._drawn_hops(np.random.default_rng(seed))
            self._lengths = fitting_lengths(offered, drawn, recipe.stretch)

    def batch(self, index: int, rank: int = 0, world: int = 1) -> Batch:
        """Rows ``rank, rank + world, ...`` of batch ``index``: ranks share one global batch."""
        rng = np.random.default_rng([self._seed, index])
        length = int(rng.choice(self._lengths))
        rows = max(world, self._recipe.budget // length // world * world)
        seeds = rng.integers(0, 2**63, rows)[rank::world]
        return self._assemble([np.random.default_rng(seed) for seed in seeds], length)

    def _drawn_hops(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """How long utterances are, as often as they are drawn."""
        return np.array([len(self._utterance(rng).hops) for _ in range(_DRAWS)], np.int64)

    def _assemble(self, rngs: list[np.random.Generator], length: int) -> Batch:
        hops = np.full((len(rngs), length * HOPS_PER_FRAME, MELS), _SILENCE, np.float32)
        phones = np.zeros((len(rngs), length * HOPS_PER_FRAME + PHONE_DELAY), np.int64)
        context = np.zeros(len(rngs), np.int64)
        texts, source_s = [], 0.0
        for i, rng in enumerate(rngs):
            context[i], text, seconds = self._fill(hops[i], phones[i, PHONE_DELAY:], rng)
            texts.append(self._units.encode(text) or [])
            source_s += seconds
        self._colour(hops, rngs)
        frames = hops.reshape(len(rngs), length, FRAME_DIM)
        labels = np.array([len(text) for text in texts], np.int64)
        targets = np.zeros((len(rngs), max(1, int(labels.max()))), np.int64)
        for i, labels_of_row in enumerate(texts):
            targets[i, : len(labels_of_row)] = labels_of_row
        masks = self._masks(len(rngs), length, rngs)
        heard = phones[:, :-PHONE_DELAY].reshape(len(rngs), length, HOPS_PER_FRAME)
        return Batch(frames, masks, context, targets, labels, heard, source_s)

    def _pick(self, clips: Sequence[Clip], rng: np.random.Generator) -> Clip:
        return clips[int(rng.integers(len(clips)))]

    def _utterance(self, rng: np.random.Generator) -> Clip:
        real = self._material.real
        if real and (not self._material.synthetic or rng.random() < self._recipe.real_share):
            return real[int(np.searchsorted(self._real_odds, rng.random(), side="right"))]
        return self._pick(self._material.synthetic, rng)

    def _fill(
        self, row: Floats, phones: Labels, rng: np.random.Generator
    ) -> tuple[int, str, float]:
        """Lays sounds into a silent row; returns context frames, text, source seconds."""
        at = self._lay_context(row, phones, rng)
        jitter = int(rng.integers(*self._recipe.context_jitter)) if at else 0
        context = max(0, at // HOPS_PER_FRAME + jitter)
        # Half of the commands follow the wake word in the same breath.
        at += int(rng.integers(0, 45)) if at == 0 or rng.random() < 0.5 else 0
        texts: list[str] = []
        seconds = 0.0
        for _ in range(8):
            clip = self._utterance(rng)
            tail = int(rng.integers(12, 70))
            if at + len(clip.hops) + min(tail, SHORTEST_TAIL) > len(row):
                continue
            if self._units.encode(clip.text) is None:
                continue
            hops, sounded = varied(clip, self._recipe.stretch, self._recipe.other_voice, rng)
            if at + len(hops) + min(tail, SHORTEST_TAIL) > len(row):
                continue
            row[at : at + len(hops)] = hops
            phones[at : at + len(hops)] = sounded
            at += len(hops) + tail
            texts.append(clip.text)
            seconds += clip.source_s
            if at + 60 > len(row):
                break
        return context, " ".join(texts), seconds

    def _lay_context(self, row: Floats, phones: Labels, rng: np.random.Generator) -> int:
        """Puts what comes before the command at the start of the row; returns where it ends."""
        draw = rng.random()
        longest = len(row) // 3
        wake_share = self._recipe.wake_share if self._material.wake else 0.0
        if draw < wake_share:
            clip = self._pick(self._material.wake, rng)
            end = clip.event_hop or len(clip.hops)
        elif draw < wake_share + self._recipe.speech_context_share:
            clip = self._utterance(rng)
            end = len(clip.hops)
        else:
            return 0
        begin = max(0, end - longest)
        lead = int(rng.integers(0, max(1, min(50, longest - (end - begin) + 1))))
        row[lead : lead + end - begin] = clip.hops[begin:end]
        known = clip.phones
        phones[lead : lead + end - begin] = UNKNOWN if known is None else known[begin:end]
        return lead + end - begin

    def _colour(self, hops: Floats, rngs: list[np.random.Generator]) -> None:
        """Mixes in noise and hiss, colours and scales, all in place."""
        recipe = self._recipe
        power = np.exp(hops)
        # Level of the loud part: pauses must not make a row look quiet.
        loud = np.quantile(power.mean(axis=2), 0.8, axis=1)
        for i, rng in enumerate(rngs):
            hiss = loud[i] * 10.0 ** (-rng.uniform(*recipe.hiss_db) / 10.0)
            begin = int(rng.integers(0, len(self._hiss) - len(power[i]) + 1))
            power[i] += hiss * self._curve(rng, 1.5) * self._hiss[begin : begin + len(power[i])]
            if self._material.noise and rng.random() < recipe.noise_share:
                self._add_noise(power[i], loud[i], rng)
            gain = rng.uniform(*recipe.level_nats)
            power[i] *= np.exp(gain) * self._curve(rng, recipe.tilt_nats)
        np.log(power + 1e-6, out=hops)

    def _add_noise(self, power: Floats, loud: float, rng: np.random.Generator) -> None:
        noise = self._pick(self._material.noise, rng).hops
        begin = int(rng.integers(0, max(1, len(noise) - len(power) + 1)))
        part = np.exp(noise[begin : begin + len(power)].astype(np.float32))
        wanted = loud * 10.0 ** (-rng.uniform(*self._recipe.noise_db) / 10.0)
        part *= wanted / (part.mean() + 1e-9)
        repeats = -(-len(power) // len(part))
        power += np.tile(part, (repeats, 1))[: len(power)]

    def _curve(self, rng: np.random.Generator, strength: float) -> Floats:
        """A smooth positive factor per band: what a microphone or a wall does to a spectrum."""
        weights = rng.normal(0.0, strength, len(_COSINES)) / np.arange(1, len(_COSINES) + 1)
        curve: Floats = np.exp(weights @ _COSINES).astype(np.float32)
        return curve

    def _masks(self, rows: int, length: int, rngs: list[np.random.Generator]) -> NDArray[np.bool_]:
        recipe = self._recipe
        bands = np.zeros((rows, 1, HOPS_PER_FRAME, MELS), bool)
        times = np.zeros((rows, length, 1, 1), bool)
        for i, rng in enumerate(rngs):
            for _ in range(recipe.frequency_masks):
                width = int(rng.integers(0, recipe.frequency_width + 1))
                first = int(rng.integers(0, MELS - width + 1))
                bands[i, 0, :, first : first + width] = True
            for _ in range(recipe.time_masks):
                width = int(rng.integers(0, recipe.time_width + 1))
                first = int(rng.integers(0, length - width + 1))
                times[i, first : first + width] = True
        return (bands | times).reshape(rows, length, FRAME_DIM)


_COSINES = np.cos(np.pi * np.outer(np.arange(1, 6), np.arange(MELS) / (MELS - 1)))
_HISS_HOPS = 20_000
_DRAWS = 2000
