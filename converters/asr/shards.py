"""Features of augmented copies, on disk and mapped into memory.

Making features costs more than a training step can spare, so every utterance is turned into
several augmented copies beforehand and later; rows are cut from all that exist. A shard holds
one copy of a span of utterances: ``<name>.npy`` (float16 [hops, 64]), ``<name>.phones`` (int8
[hops], what is sounded) and ``<name>.json`` (where each utterance lies and its text). It is
complete when its JSON exists, so training may start with the first shard while others are still
being made, and any may be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import HOP, MELS, SAMPLE_RATE, WINDOW
from converters.asr.augment import WaveformRecipe, augmented_hops
from converters.synthesis.phones import UNKNOWN, phones_at

Hops = NDArray[np.float16]
Phones = NDArray[np.int8]


@dataclass(frozen=True)
class Clip:
    """One augmented copy: where its features are and what is said."""

    hops: Hops
    """float16 [n, 64], natural log of band power."""
    text: str
    source_s: float
    """Seconds of the recording that it was made from."""
    event_hop: int | None = None
    """Hop at which the phrase of interest ends (wake words in context audio)."""
    phones: Phones | None = None
    """int8 [n], index into `PHONES` of what is sounded at each hop, or `UNKNOWN`; None: all are."""


@dataclass(frozen=True)
class Source:
    """An utterance before augmentation."""

    samples: NDArray[np.int16]
    text: str
    phrase_end_s: float | None = None
    phones: Sequence[str] = ()
    """What is sounded; "?" where that is not known. Empty: nothing is known."""
    phone_ends_s: Sequence[float] = ()

    def phones_of_hops(self, count: int, speed: float) -> Phones:
        """int8 [count]: what is sounded at each hop of a copy said `speed` times as fast."""
        centres = (HOP * np.arange(1, count + 1) - WINDOW / 2) / SAMPLE_RATE * speed
        return phones_at(self.phones, self.phone_ends_s, centres)


def write_shard(
    folder: Path,
    name: str,
    sources: Iterable[Source],
    recipe: WaveformRecipe,
    seed: Sequence[int],
) -> Path:
    """Augments utterances once and stores their features.

    Args:
        folder: created if missing.
        name: of the shard, without a suffix.
        sources: read one by one.
        recipe: strength of the augmentation.
        seed: utterance i is drawn from ``(*seed, i)``, so order and failures change nothing.

    Returns:
        The path of the JSON, written last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts, phones, entries, start = [], [], [], 0
    for i, source in enumerate(sources):
        hops, speed = augmented_hops(source.samples, recipe, np.random.default_rng([*seed, i]))
        seconds = len(source.samples) / 16_000
        end = None
        if source.phrase_end_s is not None:
            end = min(len(hops), round(source.phrase_end_s / speed * SAMPLE_RATE / HOP))
        entries.append([start, len(hops), source.text, round(seconds, 3), end])
        parts.append(hops.astype(np.float16))
        phones.append(source.phones_of_hops(len(hops), speed))
        start += len(hops)
    features = np.concatenate(parts) if parts else np.zeros((0, MELS), np.float16)
    np.save(folder / f"{name}.npy", features)
    with (folder / f"{name}.phones").open("wb") as file:
        np.save(file, np.concatenate(phones) if phones else np.zeros(0, np.int8))
    final = folder / f"{name}.json"
    partial = final.with_suffix(".part")
    partial.write_text(json.dumps(entries))
    partial.replace(final)
    return final


@dataclass
class ShardFolder:
    """The clips of all complete shards of a folder; `rescan` picks up new ones."""

    folder: Path
    clips: list[Clip] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def rescan(self) -> int:
        """Maps shards that appeared since the last call; returns how many clips they added."""
        before = len(self.clips)
        for index in sorted(self.folder.glob("*.json")):
            if index.stem in self._seen:
                continue
            self._seen.add(index.stem)
            # A plain view: slices of a memmap are objects several times as large.
            features = np.asarray(np.load(index.with_suffix(".npy"), mmap_mode="r"))
            phones = np.load(index.with_suffix(".phones"))
            if not np.any(phones != UNKNOWN):  # real speech: a thousand hours need no memory
                phones = np.broadcast_to(np.int8(UNKNOWN), phones.shape)
            for start, count, text, seconds, end in json.loads(index.read_text()):
                span = slice(start, start + count)
                self.clips.append(Clip(features[span], text, seconds, end, phones[span]))
        return len(self.clips) - before
