"""What checkpoints and the threshold are chosen by: dev recordings and synthesis of other seeds.

Nothing here is ever trained on, and nothing of the test splits is in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from agent.hearing.features import FRAME_DIM, log_mel_frames
from converters.wake.detection import (
    Curve,
    Rule,
    Scores,
    accepts_by_threshold,
    misses_by_threshold,
    viable_recall,
)
from converters.wake.model import WakeModel, scores
from converters.wake.recordings import Role
from converters.wake.scenes import CLEAN, ROOM, Condition, Scene, in_noise, scene
from converters.wake.utterances import Samples, Utterance

CONDITIONS = (CLEAN, in_noise(5.0), in_noise(0.0), ROOM)
_DRAWS = 3
"""How often a real positive is set into noise and rooms: dev speakers are few, and one draw of the
noise for each decides less than several."""
_BATCH_FRAMES = 40_000
_APART = {Role.POSITIVE, Role.CONFUSABLE}
"""Roles that are no everyday sound."""


@dataclass(frozen=True)
class Track:
    """One stream as frames."""

    scene: Scene
    condition: str
    real: bool
    role: Role
    frames: NDArray[np.float16]
    """[frames, 256]"""


@dataclass(frozen=True)
class Standing:
    """How good a model is on the tuning set."""

    merit: float
    """Mean of the viable recall over the conditions with real positives; 1 is perfect."""
    misses: float
    """Share of all positives missed at `at_per_hour`."""
    at_per_hour: float
    hours: float


class TuningSet:
    """Positives under several conditions, and negatives.

    Args:
        utterances: real and synthetic, roles as in training; noise is used as background.
        seed: for noise and rooms.
        progress: called with utterances done and utterances in all.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        seed: int,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        noises = [u.load() for u in utterances if u.role is Role.NOISE]
        noises = noises or [_hiss(seed)]
        self.tracks: list[Track] = []
        for done, utterance in enumerate(utterances):
            positive = utterance.role is Role.POSITIVE
            for condition in CONDITIONS if positive else (CLEAN,):
                draws = _DRAWS if utterance.real and condition is not CLEAN else 1
                for draw in range(draws):
                    self._add(utterance, condition, noises, seed + 1000 * draw)
            progress(done + 1, len(utterances))

    def _add(
        self, utterance: Utterance, condition: Condition, noises: Sequence[Samples], seed: int
    ) -> None:
        made = scene(utterance, condition, noises, seed)
        frames = log_mel_frames(made.samples).astype(np.float16)
        # The samples are not needed again, and hours of them would be.
        light = replace(made, samples=np.zeros(0, np.float32))
        self.tracks.append(Track(light, condition.name, utterance.real, utterance.role, frames))

    def scores(self, model: WakeModel) -> list[Scores]:
        """Raw scores of every track, in order."""
        order = sorted(range(len(self.tracks)), key=lambda n: len(self.tracks[n].frames))
        found: list[Scores] = [np.zeros(0, np.float32)] * len(order)
        at = 0
        while at < len(order):
            last = at + 1
            while (
                last < len(order)
                and (last + 1 - at) * len(self.tracks[order[last]].frames) <= _BATCH_FRAMES
            ):
                last += 1
            group = order[at:last]
            longest = max(len(self.tracks[n].frames) for n in group)
            batch = np.zeros((len(group), longest, FRAME_DIM), np.float32)
            for row, number in enumerate(group):
                frames = self.tracks[number].frames
                batch[row, : len(frames)] = frames
            answered = scores(model, torch.from_numpy(batch)).float().numpy()
            for row, number in enumerate(group):
                found[number] = answered[row, : len(self.tracks[number].frames)]
            at = last
        return found

    def negatives(self, found: Sequence[Scores]) -> list[Scores]:
        """The scores of everyday speech and noise, whose hours mean something."""
        pairs = zip(self.tracks, found, strict=True)
        return [each for track, each in pairs if track.role not in _APART]

    @property
    def hours(self) -> float:
        """Length of those, without the pauses around the clips."""
        return sum(t.scene.clip_s for t in self.tracks if t.role not in _APART) / 3600

    def confusables(self, found: Sequence[Scores]) -> list[Scores]:
        """The scores of near misses; an hour of those is no hour of life, so they count singly."""
        pairs = zip(self.tracks, found, strict=True)
        return [each for track, each in pairs if track.role is Role.CONFUSABLE]

    def positives(
        self, found: Sequence[Scores], *, real: bool | None = None, condition: str | None = None
    ) -> list[tuple[Scores, float | None]]:
        """Scores and word ends of the wake words, of one kind and condition or of all."""
        return [
            (each, track.scene.word_end_s)
            for track, each in zip(self.tracks, found, strict=True)
            if track.role is Role.POSITIVE
            and (real is None or track.real is real)
            and (condition is None or track.condition == condition)
        ]

    def standing(self, model: WakeModel, rule: Rule, at_per_hour: float = 0.5) -> Standing:
        """Judges a model."""
        # Half precision ranks checkpoints as well; the file that ships is judged as it is.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.scores(model)
        negatives = self.negatives(found)
        real: bool | None = True if self.positives(found, real=True) else None
        accepts = accepts_by_threshold(negatives, rule, self.hours)
        merits, misses = [], []
        for condition in CONDITIONS:
            positives = self.positives(found, real=real, condition=condition.name)
            measured = Curve(misses_by_threshold(positives, rule), accepts)
            merits.append(viable_recall(measured))
            allowed = measured.misses[measured.false_accepts <= at_per_hour]
            misses.append(float(allowed.min()) if len(allowed) else 1.0)
        return Standing(float(np.mean(merits)), float(np.mean(misses)), at_per_hour, self.hours)


def _hiss(seed: int) -> Samples:
    return np.random.default_rng(seed).standard_normal(160_000, np.float32) * np.float32(0.05)
