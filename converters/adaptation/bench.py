"""What adapting is worth: the speakers of a corpus, each with their odd clips, heard in the even.

Nothing of this is kept. A speaker with too few clips, or whom adapting does not help as far as
their own odd clips tell, keeps the bundle as it is and counts with it: so would the command do.
Others are judged by a synthetic test pool that nobody adapts to, once for every adapted bundle.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agent.bundle.manifest import Bundle
from converters.adaptation.adapted_bundle import write_adapted
from converters.adaptation.errors import AdaptationError
from converters.adaptation.recordings import Recording
from converters.adaptation.tuning import Plan
from converters.adaptation.whole_run import Adapted, Base, adapt, tried
from converters.asr.corpora import read_audio, read_manifest
from converters.asr.development import padded_frames, recognise
from converters.asr.model import Recogniser
from converters.asr.score import ErrorCounts, total, word_errors
from converters.evaluation.recogniser import bundle_recogniser
from converters.evaluation.sets import EvaluationSet, Item

Errors = list[ErrorCounts]


@dataclass(frozen=True)
class Speaker:
    """One person of a corpus."""

    name: str
    odd: list[Recording]
    even: list[Recording]


@dataclass(frozen=True)
class Measured:
    """What became of one speaker's even clips, and of the others by this speaker's bundle."""

    speaker: str
    learnt: int
    """Recordings that it was adapted to."""
    seconds: float
    """Their length."""
    steps: int
    """0: the bundle was left as it is."""
    part: float
    """How much of what was learnt the self-test has left."""
    changed: int
    """Weights."""
    reason: str
    """Why it was left."""
    before: Errors
    """Words of even clips, greedily, by the bundle."""
    after: Errors
    board_before: Errors
    """The same as the board decodes them: int8, its beam, its language model."""
    board_after: Errors
    others: dict[str, tuple[ErrorCounts, ErrorCounts]]
    """Words of each cell, greedily, before and after; empty if the bundle was left as it is."""


def speakers(manifest: Path, splits: set[str]) -> list[Speaker]:
    """The people of a corpus with their clips dealt in turn, in the order of the manifest."""
    found: dict[str, list[Recording]] = {}
    for utterance in read_manifest(manifest, splits=splits, training=False):
        samples = read_audio(utterance.path)
        recording = Recording(utterance.path.stem, samples, utterance.text)
        found.setdefault(utterance.speaker, []).append(recording)
    return [Speaker(name, clips[0::2], clips[1::2]) for name, clips in sorted(found.items())]


@torch.no_grad()
def _greedy(model: Recogniser, recordings: Sequence[Recording]) -> Errors:
    texts = recognise(model, [padded_frames(recording.samples) for recording in recordings])
    return [word_errors(r.text, text) for r, text in zip(recordings, texts, strict=True)]


def _as_board(bundle: Path, recordings: Sequence[Recording], speaker: str) -> Errors:
    items = [Item(r.samples, r.text, speaker) for r in recordings]
    texts = bundle_recogniser(bundle)(items)
    return [word_errors(r.text, text) for r, text in zip(recordings, texts, strict=True)]


class Bench:
    """Adapts a bundle to many people, one after the other.

    Args:
        base: the bundle.
        plan: how fast and how firmly.
        cells: what must not suffer.
        seed: of all adaptations.
        fixed: adapts everybody for all steps of the plan instead of choosing them by folds.
    """

    def __init__(
        self,
        base: Base,
        plan: Plan,
        cells: Iterable[EvaluationSet],
        *,
        seed: int = 1,
        fixed: bool = False,
    ) -> None:
        self._base = base
        self._plan = plan
        self._seed = seed
        self._fixed = fixed
        self._cells = [
            (cell.name, [Recording("", item.samples, item.text) for item in cell.items])
            for cell in cells
        ]
        self._cells_before = {
            name: total(_greedy(base.model, recordings)) for name, recordings in self._cells
        }

    def run(
        self, people: Sequence[Speaker], on_speaker: Callable[[], None] = lambda: None
    ) -> Iterator[Measured]:
        """Measures one speaker after the other."""
        for speaker in people:
            yield self._measure(speaker)
            on_speaker()

    def _measure(self, speaker: Speaker) -> Measured:
        adapted, reason = None, ""
        try:
            adapted = adapt(
                self._base, speaker.odd, self._plan, seed=self._seed, fixed=self._fixed
            )
            adapted, _ = tried(self._base, adapted)
        except AdaptationError as error:
            adapted, reason = None, str(error)
        before = _greedy(self._base.model, speaker.even)
        board = _as_board(self._base.bundle.directory, speaker.even, speaker.name)
        after, board_after = before, board
        others: dict[str, tuple[ErrorCounts, ErrorCounts]] = {}
        if adapted is not None:
            after = _greedy(adapted.model, speaker.even)
            board_after = self._adapted_board(adapted, speaker)
            others = {
                name: (self._cells_before[name], total(_greedy(adapted.model, recordings)))
                for name, recordings in self._cells
            }
        return Measured(
            speaker=speaker.name,
            learnt=len(speaker.odd),
            seconds=sum(recording.seconds for recording in speaker.odd),
            steps=0 if adapted is None else adapted.choice.steps,
            part=0.0 if adapted is None else adapted.part,
            changed=0 if adapted is None else adapted.changed,
            reason=reason,
            before=before,
            after=after,
            board_before=board,
            board_after=board_after,
            others=others,
        )

    def _adapted_board(self, adapted: Adapted, speaker: Speaker) -> Errors:
        with tempfile.TemporaryDirectory(prefix="adapted-") as folder:
            bundle: Bundle = self._base.bundle
            write_adapted(bundle, Path(folder), self._base.places, adapted.integers)
            return _as_board(Path(folder), speaker.even, speaker.name)


def pooled(measured: Sequence[Measured]) -> dict[str, Any]:
    """Errors of all even clips before and after, and of every cell over all adapted bundles."""
    cells: dict[str, tuple[ErrorCounts, ErrorCounts]] = {}
    nothing = ErrorCounts(0, 0)
    for one in measured:
        for name, (before, after) in one.others.items():
            so_far = cells.get(name, (nothing, nothing))
            cells[name] = (so_far[0] + before, so_far[1] + after)
    return {
        "even clips, greedily": _pair(
            total([c for m in measured for c in m.before]),
            total([c for m in measured for c in m.after]),
        ),
        "even clips, as the board": _pair(
            total([c for m in measured for c in m.board_before]),
            total([c for m in measured for c in m.board_after]),
        ),
        "others": _pair(
            total([before for before, _ in cells.values()]),
            total([after for _, after in cells.values()]),
        ),
        "cells": {name: _pair(*pair) for name, pair in sorted(cells.items())},
    }


def _pair(before: ErrorCounts, after: ErrorCounts) -> dict[str, Any]:
    return {
        "words": before.length,
        "before": before.errors,
        "after": after.errors,
        "change": after.errors / max(1, before.errors) - 1.0,
    }
