"""Seconds of made-up life: words among speech, pauses and noise, with the answers.

A training stream is a few seconds long. Items from the bank follow each other with or without a
pause, so that the wake word stands alone, ends a sentence or runs into a command. Then a
background, a level, a filter and a microphone floor are laid over the whole. Items start at any
hop, so the word falls at every phase of the 40 ms frames.

Hard negatives are also cut from the positives themselves: their beginning, their end, and the
word backwards. These have the voices, rooms and microphones of the positives and leave the
network nothing but the order of the sounds to go by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.synthesis.phones import UNKNOWN
from converters.wake.feature_bank import Entry
from converters.wake.mixing import (
    NEPERS_PER_DB,
    SILENCE,
    as_float,
    coloured_floor,
    fit_length,
    mix,
    random_filter,
    warped,
)
from converters.wake.recordings import Role
from converters.wake.targets import frame_targets

Hops = NDArray[np.float32]
Labels = NDArray[np.int64]
PHONE_DELAY = 4
"""Hops by which the phones lag behind the sound."""


@dataclass(frozen=True)
class Mixture:
    """How streams are made."""

    frames: int = 150
    positive: float = 0.3
    """Share of items that are the wake word."""
    confusable: float = 0.1
    word: float = 0.1
    noise: float = 0.06
    """Noise or music in place of a voice: what the network hears of it else lies under speech."""
    """The rest is running speech."""
    real: float = 0.35
    """Share of real wake words, where both kinds exist."""
    real_others: float = 0.5
    """Share of real items within each other role: people fool the network where synthesis no
    longer does."""
    real_noise: float = 0.5
    mined: float = 0.15
    """Share of negatives taken from where the model has been wrong, once that is known."""
    joined: float = 0.4
    """Chance that an item follows the one before without a pause."""
    warped: float = 0.8
    """Chance that an item is stretched in time and frequency once more. The bank holds a few
    copies of each utterance; without this the network learns those by heart within a thousand
    steps and grows worse on new voices."""


@dataclass(frozen=True)
class Batch:
    """Streams with their answers."""

    frames: NDArray[np.float32]
    """[streams, frames, 256]"""
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    """Both [streams, frames]; see `frame_targets`."""
    phones: NDArray[np.int64]
    """[streams, frames, 4]: what was sounded `PHONE_DELAY` hops before each hop; -1: unknown."""


@dataclass(frozen=True)
class _Item:
    """Something that is heard in a stream."""

    hops: Hops
    phones: NDArray[np.int8]
    word_end: float | None = None
    """End of the wake word in hops; None in anything else."""


@dataclass(frozen=True)
class Mined:
    """A place in the bank that the model took for the wake word."""

    entry: int
    hop: int


def _tempo(rng: np.random.Generator) -> float:
    """How much longer a word is said: people take from 0.45 s to 0.95 s for "computer"."""
    return float(np.clip(np.exp(rng.normal(0.0, 0.17)), 0.66, 1.5))


def _cut(entry: Entry, first: int, last: int, word_end: float | None = None) -> _Item:
    hops = as_float(entry.hops[first:last])
    if entry.phones is None:
        return _Item(hops, np.full(len(hops), UNKNOWN, np.int8), word_end)
    return _Item(hops, np.asarray(entry.phones[first:last]), word_end)


def mixture_for(entries: Sequence[Entry]) -> Mixture:
    """Where all wake words are synthetic, so is all speech but what the model takes for one.

    Otherwise "a person, so not the word" would be learnt, which is right in all of training and
    wrong ever after.
    """
    if any(entry.role is Role.POSITIVE and entry.real for entry in entries):
        return Mixture()
    return Mixture(real_others=0.0)


class StreamMaker:
    """Draws batches from a bank; a batch depends on the generator and the mined places alone.

    Args:
        entries: the bank. It needs positives and speech; other roles are used where they exist.
        mixture: shares and lengths.
    """

    def __init__(self, entries: Sequence[Entry], mixture: Mixture) -> None:
        self._entries = entries
        self._mixture = mixture
        self._by_role: dict[tuple[Role, bool], list[int]] = {}
        for number, entry in enumerate(entries):
            self._by_role.setdefault((entry.role, entry.real), []).append(number)
        self.mined: list[Mined] = []
        for role in (Role.POSITIVE, Role.SPEECH):
            if not self._has(role):
                raise ValueError(f"the training data holds no {role.value} utterances; add some")

    def _has(self, role: Role) -> bool:
        return (role, True) in self._by_role or (role, False) in self._by_role

    def _entry(self, role: Role, rng: np.random.Generator) -> Entry:
        shares = {Role.POSITIVE: self._mixture.real, Role.NOISE: self._mixture.real_noise}
        real = rng.random() < shares.get(role, self._mixture.real_others)
        numbers = self._by_role.get((role, real)) or self._by_role[role, not real]
        return self._entries[numbers[rng.integers(len(numbers))]]

    # -- items -----------------------------------------------------------------------------

    def _positive(self, rng: np.random.Generator) -> _Item:
        entry = self._entry(Role.POSITIVE, rng)
        before = min(int(entry.word_start), int(rng.integers(0, 30)))
        # Either the word alone, or with whatever follows it in the clip, such as a command.
        after = int(rng.integers(1, 45)) if rng.random() < 0.5 else int(rng.integers(45, 250))
        first = max(0, int(entry.word_start) - before)
        last = min(len(entry.hops), int(np.ceil(entry.word_end)) + after)
        return _cut(entry, first, last, entry.word_end - first)

    def _fragment(self, rng: np.random.Generator) -> _Item:
        entry = self._entry(Role.POSITIVE, rng)
        start, end = int(entry.word_start), int(np.ceil(entry.word_end))
        length = max(end - start, 4)
        kind = rng.random()
        if kind < 0.4:
            first, last = max(0, start - 20), start + int(length * rng.uniform(0.3, 0.6))
        elif kind < 0.7:
            first, last = end - int(length * rng.uniform(0.3, 0.5)), end + int(rng.integers(30))
        else:
            backwards = as_float(entry.hops[start:end][::-1])
            return _Item(backwards, np.full(len(backwards), UNKNOWN, np.int8))
        return _cut(entry, first, max(last, first + 1))

    def _whole(self, role: Role, rng: np.random.Generator) -> _Item:
        entry = self._entry(role, rng)
        return _cut(entry, 0, len(entry.hops))

    def _some(self, role: Role, rng: np.random.Generator) -> _Item:
        """A few seconds of something long."""
        entry = self._entry(role, rng)
        length = min(len(entry.hops), int(rng.uniform(60, 500)))
        first = int(rng.integers(len(entry.hops) - length + 1))
        return _cut(entry, first, first + length)

    def _from_mined(self, rng: np.random.Generator) -> _Item:
        place = self.mined[rng.integers(len(self.mined))]
        first = max(0, place.hop - int(rng.uniform(80, 220)))
        return _cut(self._entries[place.entry], first, place.hop + int(rng.uniform(5, 100)))

    def _item(self, rng: np.random.Generator) -> _Item:
        mixture, choice = self._mixture, rng.random()
        if choice < mixture.positive:
            return self._positive(rng)
        if self.mined and rng.random() < mixture.mined:
            return self._from_mined(rng)
        choice -= mixture.positive
        if choice < mixture.confusable:
            if self._has(Role.CONFUSABLE) and rng.random() < 0.6:
                return self._whole(Role.CONFUSABLE, rng)
            return self._fragment(rng)
        choice -= mixture.confusable
        if choice < mixture.word and self._has(Role.WORD):
            return self._whole(Role.WORD, rng)
        choice -= mixture.word
        if choice < mixture.noise and self._has(Role.NOISE):
            return self._some(Role.NOISE, rng)
        return self._some(Role.SPEECH, rng)

    # -- streams ---------------------------------------------------------------------------

    def _voices(self, phones: Labels, rng: np.random.Generator) -> tuple[Hops, list[float]]:
        """The items of one stream at their relative levels, and the ends of its wake words.

        Their phones are written into ``phones``, which holds silence, int64 [hops].
        """
        length = len(phones)
        stream = np.full((length, MELS), SILENCE, np.float32)
        ends: list[float] = []
        at = int(rng.integers(0, 120)) if rng.random() < 0.7 else 0
        while at < length:
            item = self._item(rng)
            hops, sounded, end = item.hops, item.phones, item.word_end
            if rng.random() < self._mixture.warped:
                stretch = _tempo(rng)
                hops = warped(hops, stretch, rng.uniform(0.92, 1.08), rng.uniform(-2.0, 2.0))
                end = None if end is None else end * stretch
                sounded = sounded[np.linspace(0, len(sounded) - 1, len(hops)).round().astype(int)]
            hops = hops[: length - at]
            phones[at : at + len(hops)] = sounded[: length - at]
            stream[at : at + len(hops)] = hops + rng.normal(0.0, 3.0) * NEPERS_PER_DB
            if end is not None and at + end < length:
                ends.append(at + end)
            at += len(hops)
            if rng.random() >= self._mixture.joined:
                at += int(rng.exponential(50))
        return stream, ends

    def _background(self, rng: np.random.Generator) -> Hops:
        """Noise, music, other people or a hiss at the level of the voices."""
        length = self._mixture.frames * HOPS_PER_FRAME
        choice = rng.random()
        if choice < 0.65 and self._has(Role.NOISE):
            return self._noise(length, rng)
        if choice < 0.8:
            babble = fit_length(self._whole(Role.SPEECH, rng).hops, length, rng)
            return mix(babble, fit_length(self._whole(Role.SPEECH, rng).hops, length, rng))
        return coloured_floor(length, 0.0, rng.uniform(-30.0, 5.0), rng)

    def _noise(self, length: int, rng: np.random.Generator) -> Hops:
        """A recording of noise or music, faster or slower, higher or lower, and filtered.

        Recorded noise is an hour or so: as it is, it would be learnt by heart.
        """
        hops = self._entry(Role.NOISE, rng).hops
        if rng.random() < 0.7:
            stretch = float(np.exp(rng.normal(0.0, 0.2)))
            part = fit_length(hops, int(length / stretch) + 2, rng)
            part = warped(part, stretch, rng.uniform(0.85, 1.15), rng.uniform(-4.0, 4.0))[:length]
        else:
            part = fit_length(hops, length, rng)
        if len(part) < length:
            part = fit_length(part, length, rng)
        return part + random_filter(rng) if rng.random() < 0.5 else part

    def _ratio_db(self, rng: np.random.Generator) -> float:
        """Voices over background: seldom far apart, often close, where a word is hard to hear."""
        choice = rng.random()
        if choice < 0.45:
            return float(rng.uniform(-3.0, 10.0))
        return float(rng.uniform(0.0, 25.0) if choice < 0.85 else rng.uniform(25.0, 45.0))

    def _stream(self, phones: Labels, rng: np.random.Generator) -> tuple[Hops, list[float]]:
        voices, ends = self._voices(phones, rng)
        level_db = rng.uniform(-38.0, 15.0)
        if rng.random() < 0.85:
            stream = mix(voices, self._background(rng) - self._ratio_db(rng) * NEPERS_PER_DB)
        else:
            stream = voices
        stream += level_db * NEPERS_PER_DB
        if rng.random() < 0.6:
            stream += random_filter(rng)
        if rng.random() < 0.3:
            band = int(rng.integers(1, 9))
            low = int(rng.integers(0, MELS - band))
            stream[:, low : low + band] = SILENCE
        floor_db = rng.uniform(-75.0, -35.0)
        floor = coloured_floor(len(stream), floor_db, rng.uniform(-15.0, 5.0), rng)
        # Nothing on the board is ever below the floor of the features themselves.
        return np.maximum(mix(stream, floor), np.float32(SILENCE)), ends

    def batch(self, streams: int, rng: np.random.Generator) -> Batch:
        """A batch of streams."""
        frames = self._mixture.frames
        batch = Batch(
            np.empty((streams, frames, FRAME_DIM), np.float32),
            np.empty((streams, frames), np.float32),
            np.empty((streams, frames), np.float32),
            np.zeros((streams, frames, HOPS_PER_FRAME), np.int64),
        )
        for number in range(streams):
            phones = np.zeros(frames * HOPS_PER_FRAME, np.int64)
            hops, ends = self._stream(phones, rng)
            heard = np.concatenate((np.zeros(PHONE_DELAY, np.int64), phones[:-PHONE_DELAY]))
            batch.phones[number] = heard.reshape(frames, HOPS_PER_FRAME)
            batch.frames[number] = hops.reshape(frames, FRAME_DIM)
            batch.target[number], batch.weight[number] = frame_targets(frames, ends)
        return batch
