"""What the first stage of a wake word hears, kept: hours of sound become seconds of frames.

Wherever the score rises to above a floor, the frames that a second stage would look at are kept.
They depend on the wake word and on the sound, not on the recogniser, so that the next recogniser
is asked within a minute.

    FOLDER/<wake word and sound>/<number>.npz     one for each group of streams
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, FRAME_SECONDS, LogMel
from agent.hearing.wake_word import WakeSettings, WakeWord
from converters.evaluation.wake_audio import Group, Sources
from converters.evaluation.wake_counts import microphone
from converters.wake.scenes import Scene

FLOOR = 0.3
"""No lower threshold is of interest."""
_BEFORE = 40
"""Frames that are kept in front of a word and of the rise of the score behind it."""


@dataclass(frozen=True)
class Rise:
    """A frame in which the score rises: the crossing of every threshold between the two."""

    frame: int
    """Number of the frame in its stream."""
    before: float
    """Smoothed score of the frame before."""
    score: float
    """Smoothed score of this one."""

    @property
    def time_s(self) -> float:
        """End of the frame."""
        return (self.frame + 1) * FRAME_SECONDS


@dataclass(frozen=True)
class Excerpt:
    """The part of a stream that the first stage might take for the wake word."""

    key: str
    word_end_s: float | None
    """End of the wake word; None: there is none."""
    rises: tuple[Rise, ...]
    first: int
    """Number of the first frame that is kept."""
    frames: NDArray[np.float32]
    """[frames, 256], up to that of the last rise."""


@dataclass(frozen=True)
class Excerpts:
    """All of them from a group of streams."""

    name: str
    streams: int
    """How many were played."""
    hours: float
    """How long they are, without the pauses around clips."""
    found: list[Excerpt]


class FirstStage:
    """Plays streams to a wake word.

    Args:
        word: without a second stage; its threshold does not matter.
        floor: a score that stays below it is passed over.
    """

    def __init__(self, word: WakeWord, floor: float = FLOOR) -> None:
        self._word, self._floor = word, floor
        settings = word.settings
        self._before = _BEFORE + settings.length_frames + settings.latency_frames
        self._features = LogMel()

    def hear(self, group: Group) -> Excerpts:
        """All excerpts of a group."""
        streams, seconds, found = 0, 0.0, []
        for stream in group.streams:
            streams += 1
            seconds += stream.clip_s
            excerpt = self._excerpt(stream)
            if excerpt.rises:
                found.append(excerpt)
        return Excerpts(group.name, streams, seconds / 3600, found)

    def _excerpt(self, stream: Scene) -> Excerpt:
        self._features.reset()
        self._word.reset()
        frames, rises, before = [], [], 0.0
        for number, block in enumerate(microphone(stream.samples)):
            frames.append(self._features.process(block.astype(np.float32) / np.float32(32768.0)))
            self._word.process(frames[-1])
            score = self._word.score
            if score > before and score >= self._floor:
                rises.append(Rise(number, before, score))
            before = score
        first = max(0, rises[0].frame - self._before) if rises else 0
        last = rises[-1].frame + 1 if rises else 0
        kept = np.array(frames[first:last], np.float32).reshape(-1, FRAME_DIM)
        return Excerpt(stream.key, stream.word_end_s, tuple(rises), first, kept)


def folder_for(
    parent: Path | None, file: Path, settings: WakeSettings, sources: Sources
) -> Path | None:
    """Where the excerpts of a wake word from some sound are kept, by all that they depend on.

    Args:
        parent: holds them all; None: they are not kept.
        file: the wake word.
        settings: how it is judged; its threshold does not matter.
        sources: what is played; pools are known by their folder and their size.
    """
    if parent is None:
        return None
    judged = settings.smoothing_frames, settings.latency_frames, settings.length_frames
    pools = (*sources.positives_pools, *sources.negatives_pools)
    sizes = [sum(part.stat().st_size for part in pool.iterdir()) for pool in pools]
    name = hashlib.sha256(file.read_bytes())
    name.update(repr((judged, sources, sizes)).encode())
    return parent / name.hexdigest()[:16]


def kept(folder: Path | None, number: int, hear: Callable[[], Excerpts]) -> Excerpts:
    """The excerpts of a group, from a folder if they are there.

    Args:
        folder: see `folder_for`.
        number: of the group.
        hear: makes them.
    """
    if folder is None:
        return hear()
    file = folder / f"{number:03d}.npz"
    if file.exists():
        return load(file)
    heard = hear()
    folder.mkdir(parents=True, exist_ok=True)
    save(file, heard)
    return heard


def save(file: Path, excerpts: Excerpts) -> None:
    """Writes excerpts, all or nothing."""
    content: dict[str, Any] = {"name": excerpts.name, "streams": excerpts.streams}
    content["hours"] = excerpts.hours
    content["found"] = [
        {
            "key": each.key,
            "word_end_s": each.word_end_s,
            "rises": [asdict(rise) for rise in each.rises],
            "first": each.first,
            "frames": len(each.frames),
        }
        for each in excerpts.found
    ]
    rows = [each.frames for each in excerpts.found]
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(
            stream,
            index=np.frombuffer(json.dumps(content).encode(), np.uint8),
            frames=np.concatenate(rows) if rows else np.zeros((0, FRAME_DIM), np.float32),
        )
    part.replace(file)


def load(file: Path) -> Excerpts:
    """Reads what `save` wrote."""
    with np.load(file) as stored:
        content, frames = json.loads(stored["index"].tobytes()), stored["frames"]
    found, at = [], 0
    for each in content["found"]:
        rises = tuple(Rise(**rise) for rise in each["rises"])
        kept = frames[at : at + each["frames"]]
        at += each["frames"]
        found.append(Excerpt(each["key"], each["word_end_s"], rises, each["first"], kept))
    return Excerpts(content["name"], content["streams"], content["hours"], found)
