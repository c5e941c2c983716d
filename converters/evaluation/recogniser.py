"""Word, character and slot errors of a recogniser, as the board runs it and in float.

The bundle's models are driven by the agent's own `Pipeline`, block by block. A float checkpoint
is decoded in batches from the same samples, so that the two can be compared pair by pair.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.hearing.features import BLOCK, SAMPLE_RATE, log_mel_frames
from converters.asr.score import ErrorCounts, character_errors, total, word_errors
from converters.asr.text import normalise
from converters.evaluation.intervals import Share, share
from converters.evaluation.sets import EvaluationSet, Item

_RESAMPLES = 1000
_FEWEST_SPEAKERS = 5
"""Below this, speakers cannot be resampled and utterances are."""

Recognise = Callable[[Sequence[Item]], list[str]]


def bundle_recogniser(
    bundle: Path, progress: Callable[[], None] = lambda: None, *, greedy: bool = False
) -> Recognise:
    """The models of a bundle, streamed through the agent's own classes.

    Args:
        bundle: its folder.
        progress: called after every item.
        greedy: takes the best label in every frame, and no language model, whatever the bundle
            asks for.
    """
    from agent.bundle.manifest import DecoderEntry, load_bundle
    from agent.config import Config
    from agent.hearing.pipeline import Pipeline
    from agent.hearing.session_events import Finished

    loaded = load_bundle(bundle)
    if greedy:
        manifest = dataclasses.replace(loaded.manifest, decoder=DecoderEntry())
        loaded = dataclasses.replace(loaded, manifest=manifest)
    pipeline = Pipeline(loaded, Config(), wake=False)

    def recognise(items: Sequence[Item]) -> list[str]:
        texts = []
        for item in items:
            samples = item.padded()
            pipeline.reset()
            pipeline.open()
            whole = len(samples) // BLOCK * BLOCK
            for start in range(0, whole, BLOCK):
                pipeline.process(samples[start : start + BLOCK])
            finals = [
                event.text
                for event in pipeline.finish(whole / SAMPLE_RATE)
                if isinstance(event, Finished)
            ]
            texts.append(normalise(" ".join(finals)))
            progress()
        return texts

    return recognise


def float_recogniser(checkpoint: Path) -> Recognise:
    """The averaged weights of a training run, in float32."""
    import torch

    from converters.asr.checkpoint import load_recogniser
    from converters.asr.development import recognise

    model = load_recogniser(checkpoint)

    def run(items: Sequence[Item]) -> list[str]:
        with torch.no_grad():
            frames = [log_mel_frames(item.padded().astype(np.float32) / 32768.0) for item in items]
            return recognise(model, frames)

    return run


@dataclass(frozen=True)
class SetResult:
    """What one recogniser made of one set."""

    name: str
    words: ErrorCounts
    characters: ErrorCounts
    interval: tuple[float, float]
    """95 % bootstrap interval of the word error rate, over speakers where there are enough."""
    resampled: str
    """What the bootstrap drew: speakers or utterances."""
    sentences: Share
    """Exactly right."""
    slots: Share | None
    """All labelled slots right; None where there are no labels."""
    worst_tenth: float
    """Word error rate of the worst tenth of the speakers (at least one)."""
    by_speaker: dict[str, ErrorCounts]
    per_utterance: list[ErrorCounts]
    texts: list[str]

    def as_json(self) -> dict[str, Any]:
        """Figures only."""
        return {
            "set": self.name,
            "word_errors": {"k": self.words.errors, "n": self.words.length,
                            "rate": self.words.rate, "interval": list(self.interval),
                            "resampled": self.resampled},
            "character_errors": {"k": self.characters.errors, "n": self.characters.length,
                                 "rate": self.characters.rate},
            "sentences_right": vars(self.sentences),
            "slots_right": None if self.slots is None else vars(self.slots),
            "worst_tenth": self.worst_tenth,
            "by_speaker": {s: [c.errors, c.length] for s, c in sorted(self.by_speaker.items())},
        }  # fmt: skip


def slots_right(slots: Sequence[str], hypothesis: str) -> bool:
    """Whether every slot's words stand in the hypothesis, next to each other."""
    return all(f" {slot} " in f" {hypothesis} " for slot in slots)


def evaluate_set(chosen: EvaluationSet, recognise: Recognise) -> SetResult:
    """Runs a recogniser over a set and counts."""
    texts = recognise(chosen.items)
    pairs = list(zip(chosen.items, texts, strict=True))
    words = [word_errors(item.text, text) for item, text in pairs]
    by_speaker: dict[str, ErrorCounts] = defaultdict(lambda: ErrorCounts(0, 0))
    for (item, _), counts in zip(pairs, words, strict=True):
        by_speaker[item.speaker] += counts
    labelled = [(item, text) for item, text in pairs if item.slots]
    right = sum(slots_right(list(item.slots.values()), text) for item, text in labelled)
    speakers = len(by_speaker) >= _FEWEST_SPEAKERS
    groups = list(by_speaker.values()) if speakers else words
    rates = sorted((counts.rate for counts in by_speaker.values()), reverse=True)
    worst = rates[: max(1, len(rates) // 10)]
    return SetResult(
        name=chosen.name,
        words=total(words),
        characters=total([character_errors(item.text, text) for item, text in pairs]),
        interval=bootstrap_interval(groups),
        resampled="speakers" if speakers else "utterances",
        sentences=share(sum(item.text == text for item, text in pairs), len(pairs)),
        slots=share(right, len(labelled)) if labelled else None,
        worst_tenth=sum(worst) / len(worst),
        by_speaker=dict(by_speaker),
        per_utterance=words,
        texts=texts,
    )


def bootstrap_interval(groups: Sequence[ErrorCounts]) -> tuple[float, float]:
    """95 % percentile interval of the pooled error rate when groups are drawn anew."""
    counts = np.array([(g.errors, g.length) for g in groups], np.float64)
    draws = np.random.default_rng(0).integers(0, len(counts), (_RESAMPLES, len(counts)))
    sums = counts[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1), [2.5, 97.5])
    return float(low), float(high)


def paired_change(
    reference: Sequence[ErrorCounts], other: Sequence[ErrorCounts]
) -> tuple[float, float, float]:
    """Relative change of the error rate from one recogniser to another on the same utterances.

    Args:
        reference: errors of the first, by utterance.
        other: errors of the second, in the same order.

    Returns:
        The change (0.02 is two percent more errors) and its 95 % bootstrap interval over
        utterances.
    """
    errors = np.array(
        [(a.errors, b.errors) for a, b in zip(reference, other, strict=True)], np.float64
    )
    draws = np.random.default_rng(0).integers(0, len(errors), (_RESAMPLES, len(errors)))
    sums = errors[draws].sum(axis=1)
    changes = sums[:, 1] / np.maximum(sums[:, 0], 1) - 1.0
    low, high = np.percentile(changes, [2.5, 97.5])
    whole = errors.sum(axis=0)
    return float(whole[1] / max(whole[0], 1) - 1.0), float(low), float(high)
