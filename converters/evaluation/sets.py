"""The recordings that a recogniser is measured on.

Whatever a corpus writes passes through `converters.asr.text.normalise`, as in training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.asr.corpora import read_audio, read_manifest
from converters.asr.text import normalise
from converters.corpora.selection import held_out
from converters.synthesis.pool import PoolItem, load_pool

LEAD_S, TAIL_S = 0.3, 0.6
"""Pauses of faint noise around every clip: what is recognised in them counts as an error."""
_LONGEST_S = 60.0

Samples = NDArray[np.int16]


def between_pauses(samples: Samples) -> Samples:
    """A clip between two pauses of faint noise, the same for every model."""
    rng = np.random.default_rng(0)
    lead = rng.normal(0.0, 4.0, int(LEAD_S * SAMPLE_RATE)).astype(np.int16)
    tail = rng.normal(0.0, 4.0, int(TAIL_S * SAMPLE_RATE)).astype(np.int16)
    return np.concatenate([lead, samples, tail])


@dataclass(frozen=True)
class Item:
    """One recording and what should be understood of it."""

    samples: Samples
    text: str
    speaker: str
    slots: Mapping[str, str] = field(default_factory=dict)
    staging: Callable[[Samples], Samples] = between_pauses
    """What happens to the recording on its way to the microphone."""

    def padded(self) -> Samples:
        """What the microphone hears: the clip and a pause on either side."""
        return self.staging(self.samples)


@dataclass(frozen=True)
class EvaluationSet:
    """A named list of recordings."""

    name: str
    items: list[Item]
    note: str = ""
    """What to tell about it, such as what was left out."""
    real: bool = False
    """Spoken by people."""
    everyday: bool = False
    """Commands of a household. The headline figure, the ratio of real to synthetic errors and what
    is heard in noise are about these."""

    def first(self, count: int) -> EvaluationSet:
        """The same, shortened to so many recordings."""
        return EvaluationSet(self.name, self.items[:count], self.note, self.real, self.everyday)


_OPEN_SLOTS = ("title", "artist", "word", "letters")
"""Slots that any words may fill, besides those with people's names."""
_PLAIN = "commands"


def _set_name(item: PoolItem) -> str:
    """The cell of an item; commands are told apart by whether they hold open vocabulary."""
    form, names = item.cell.split("-")
    if item.kind == "cells":
        return f"cell {'commands' if form == 'template' else 'free text'}, {names} names"
    if form != "template":
        return f"free text, {names} names" if item.names else "free text, no names"
    if item.names:
        return f"commands with {names} names"
    if any(slot.startswith(_OPEN_SLOTS) for slot in item.slots):
        return "commands with titles and words"
    return _PLAIN


def pool_sets(path: Path, limit: int | None = None) -> Iterator[EvaluationSet]:
    """A synthetic pool: plain commands, commands with names (seen or held out), titles, free text.

    Args:
        path: a pool of kind "test", "cells" or "dev".
        limit: at most so many utterances of each set.
    """
    pool = load_pool(path)
    cells: dict[str, list[Item]] = {}
    for position, item in enumerate(pool.items):
        found = cells.setdefault(_set_name(item), [])
        if limit is None or len(found) < limit:
            speaker = f"{item.engine}/{item.voice}"
            slots = {slot: normalise(said) for slot, said in item.slots.items()}
            found.append(Item(pool.audio(position), normalise(item.text), speaker, slots))
    for cell, items in sorted(cells.items()):
        yield EvaluationSet(f"{items[0].speaker}: {cell}", items, everyday=cell == _PLAIN)


def corpus_sets(names: Sequence[str], limit: int | None = None) -> Iterator[EvaluationSet]:
    """Splits of corpora that lhotse has prepared.

    Args:
        names: such as ``lhotse:DIR:test-clean``.
        limit: at most so many utterances of each; always the same ones.
    """
    for name in names:
        found = held_out(name, limit)
        title = found.summary.title
        items = [Item(sound, entry.text, entry.speaker or title) for entry, sound in found.items]
        yield EvaluationSet(title, items, found.summary.sentence(), real=True)


_TITLES = {
    "cmd_picovoice_coffee": "coffee orders",
    "speech_librispeech": "LibriSpeech",
    "speech_en_transcribed": "read speech, various",
    "spk_ravdess": "two acted sentences (RAVDESS)",
    "digits_fsdd": "single digits (FSDD)",
}


def real_sets(real: Path, splits: set[str]) -> Iterator[EvaluationSet]:
    """Transcribed English recordings of people: the known corpora and all that hold commands.

    A manifest whose lines are labelled with an intent holds commands; further ones may stand
    beside those we know. Single wake words are `evaluate --wake`'s.

    Args:
        real: folder with ``manifests/*.jsonl``.
        splits: which ones to take.
    """
    folder = real / "manifests"
    further = sorted(path.stem for path in folder.glob("*.jsonl") if path.stem not in _TITLES)
    for name in (*_TITLES, *further):
        manifest = folder / f"{name}.jsonl"
        if not manifest.exists() or (name in further and not _holds_commands(manifest)):
            continue
        items, commands = [], False
        found = read_manifest(manifest, splits=splits, training=False, longest_s=_LONGEST_S)
        for utterance in found:
            label = utterance.label if isinstance(utterance.label, dict) else {}
            commands = commands or "intent" in label
            slots = {k: normalise(v) for k, v in label.get("slots", {}).items()}
            items.append(Item(read_audio(utterance.path), utterance.text, utterance.speaker, slots))
        if items:
            title = f"{_TITLES.get(name, name)} ({', '.join(sorted(splits))})"
            yield EvaluationSet(title, items, real=True, everyday=commands)


def _holds_commands(manifest: Path) -> bool:
    with manifest.open(encoding="utf-8") as lines:
        first = next(lines, "")
    label = json.loads(first).get("label") if first.strip() else None
    return isinstance(label, dict) and "intent" in label
