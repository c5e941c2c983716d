"""The development sets that a run is watched on, and its error rates there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.hearing.features import BLOCK, SAMPLE_RATE, log_mel_frames
from converters.asr.corpora import read_audio, read_manifest
from converters.asr.decoding import greedy
from converters.asr.methods import Search
from converters.asr.model import Recogniser
from converters.asr.readings import best_readings
from converters.asr.score import character_errors, total, word_errors
from converters.asr.text import decode
from converters.asr.units import LETTERS, Units
from converters.asr.word_graph import WordGraph
from converters.corpora.selection import held_out
from converters.synthesis.pool import load_pool

_LEAD_S, _TAIL_S = 0.3, 0.6
"""Pauses around every clip: insertions in them count as errors."""
_BATCH = 24


@dataclass(frozen=True)
class DevelopmentSet:
    """Utterances with their features ready."""

    name: str
    frames: list[NDArray[np.float32]]
    texts: list[str]


def padded_frames(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Frames of a clip between two pauses of faint noise, float32 [T, 256]."""
    rng = np.random.default_rng(0)
    lead = rng.normal(0, 4.0, int(_LEAD_S * SAMPLE_RATE))
    tail = rng.normal(0, 4.0, int(_TAIL_S * SAMPLE_RATE))
    audio = np.concatenate([lead, samples.astype(np.float64), tail]) / 32768.0
    return log_mel_frames(audio.astype(np.float32))


def _collect(name: str, pairs: Iterable[tuple[NDArray[np.int16], str]]) -> DevelopmentSet:
    frames, texts = [], []
    for samples, text in pairs:
        frames.append(padded_frames(samples))
        texts.append(text)
    return DevelopmentSet(name, frames, texts)


def development_sets(
    real: Path | None, dev_pool: Path | None, limit: int, corpora: Sequence[str] = ()
) -> list[DevelopmentSet]:
    """Real coffee orders, a voice never trained on and held-out corpora, as far as given.

    Args:
        real: folder of our own manifests.
        dev_pool: synthetic.
        limit: at most so many utterances of the pool and of each corpus.
        corpora: names such as ``lhotse:DIR:dev-clean``.
    """
    sets = []
    if real is not None:
        manifest = real / "manifests" / "cmd_picovoice_coffee.jsonl"
        found = read_manifest(manifest, splits={"dev"}, training=True)
        sets.append(_collect("coffee", ((read_audio(u.path), u.text) for u in found)))
    if dev_pool is not None and dev_pool.exists():
        pool = load_pool(dev_pool)
        chosen = range(min(limit, len(pool.items)))
        sets.append(_collect("ked", ((pool.audio(i), pool.items[i].text) for i in chosen)))
    for name in corpora:
        found_there = held_out(name, limit)
        pairs = ((sound, entry.text) for entry, sound in found_there.items)
        title = found_there.summary.title
        alike = sum(there.name.startswith(title) for there in sets)
        sets.append(_collect(f"{title} ({alike + 1})" if alike else title, pairs))
    return sets


def recognise(
    model: Recogniser, frames: list[NDArray[np.float32]], units: Units = LETTERS
) -> list[str]:
    """Greedy texts of many clips, batched by length."""
    texts = [""] * len(frames)
    for chosen, batch, lengths in _batches(model, frames):
        for i, text in zip(chosen, greedy(model, batch, lengths, units), strict=True):
            texts[i] = text
    return texts


def _batches(
    model: Recogniser, frames: list[NDArray[np.float32]]
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Clips of similar length: their numbers, frames [B, T, 256] and lengths [B]."""
    order = sorted(range(len(frames)), key=lambda i: len(frames[i]))
    device = next(model.parameters()).device
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        lengths = torch.tensor([len(frames[i]) for i in chosen], device=device)
        batch = torch.zeros(len(chosen), int(lengths.max()), frames[chosen[0]].shape[1])
        for row, i in enumerate(chosen):
            batch[row, : len(frames[i])] = torch.from_numpy(frames[i])
        yield chosen, batch.to(device), lengths


def closing_rates(
    model: Recogniser,
    sets: list[DevelopmentSet],
    search: Search,
    units: Units = LETTERS,
    graph: WordGraph | None = None,
) -> dict[str, dict[str, float]]:
    """By set: character and word error rate greedily, and with a search.

    ``last_label_s`` is when the last label is emitted, in seconds after the clip's end, mean over
    clips. The search knows predictors of two labels only, and letters, or sounds if it is given a
    graph of words.
    """
    rates = {}
    for chosen in sets:
        found = list(zip(chosen.texts, recognise(model, chosen.frames, units), strict=True))
        rates[chosen.name] = {
            "characters": total([character_errors(*pair) for pair in found]).rate,
            "words": total([word_errors(*pair) for pair in found]).rate,
        }
        if model.shape.long_memory:
            continue
        if graph is not None:
            rates[chosen.name] |= _searched(
                model, chosen, replace(search, language=graph), graph.text
            )
        elif units is LETTERS:
            rates[chosen.name] |= _searched(model, chosen, search, decode)
    return rates


def _searched(
    model: Recogniser,
    chosen: DevelopmentSet,
    search: Search,
    spelled: Callable[[list[int]], str],
) -> dict[str, float]:
    errors, delays = [], []
    for numbers, batch, lengths in _batches(model, chosen.frames):
        for i, best in zip(numbers, best_readings(model, batch, lengths, search), strict=True):
            errors.append(word_errors(chosen.texts[i], spelled(best.labels)))
            if best.labels:
                end_s = len(chosen.frames[i]) * BLOCK / SAMPLE_RATE - _TAIL_S
                delays.append((best.last + 1) * BLOCK / SAMPLE_RATE - end_s)
    return {"words_searched": total(errors).rate, "last_label_s": float(np.mean(delays or [0.0]))}


def word_error_rates(
    model: Recogniser, sets: list[DevelopmentSet], units: Units = LETTERS
) -> dict[str, float]:
    """Word error rate by set, with one example on the way."""
    rates = {}
    for chosen in sets:
        texts = recognise(model, chosen.frames, units)
        counts = [word_errors(r, h) for r, h in zip(chosen.texts, texts, strict=True)]
        rates[chosen.name] = total(counts).rate
    return rates
