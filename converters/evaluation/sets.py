"""The recordings that a recogniser is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class Item:
    """One recording and what should be understood of it."""

    samples: NDArray[np.int16]
    text: str
    speaker: str
    slots: Mapping[str, str] = field(default_factory=dict)

    def padded(self) -> NDArray[np.int16]:
        """The clip between two pauses of faint noise; the same for every model."""
        rng = np.random.default_rng(0)
        lead = rng.normal(0.0, 4.0, int(LEAD_S * SAMPLE_RATE)).astype(np.int16)
        tail = rng.normal(0.0, 4.0, int(TAIL_S * SAMPLE_RATE)).astype(np.int16)
        return np.concatenate([lead, self.samples, tail])


@dataclass(frozen=True)
class EvaluationSet:
    """A named list of recordings."""

    name: str
    items: list[Item]
    note: str = ""
    """What to tell about it, such as what was left out."""


_OPEN_SLOTS = ("title", "artist", "word", "letters")
"""Slots that any words may fill, besides those with people's names."""


def _set_name(item: PoolItem) -> str:
    """The cell of an item; commands are told apart by whether they hold open vocabulary."""
    form, names = item.cell.split("-")
    if form != "template":
        return f"free text, {names} names" if item.names else "free text, no names"
    if item.names:
        return f"commands with {names} names"
    if any(slot.startswith(_OPEN_SLOTS) for slot in item.slots):
        return "commands with titles and words"
    return "commands"


def pool_sets(path: Path, limit: int | None = None) -> Iterator[EvaluationSet]:
    """A synthetic pool: plain commands, commands with names (seen or held out), titles, free text.

    Args:
        path: a pool of kind "test" or "dev".
        limit: at most so many utterances of each set.
    """
    pool = load_pool(path)
    cells: dict[str, list[Item]] = {}
    for position, item in enumerate(pool.items):
        found = cells.setdefault(_set_name(item), [])
        if limit is None or len(found) < limit:
            speaker = f"{item.engine}/{item.voice}"
            found.append(Item(pool.audio(position), item.text, speaker, item.slots))
    for cell, items in sorted(cells.items()):
        yield EvaluationSet(f"{items[0].speaker}: {cell}", items)


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
        yield EvaluationSet(title, items, found.summary.sentence())


def real_sets(real: Path, splits: set[str]) -> Iterator[EvaluationSet]:
    """Coffee orders with their slots, and transcribed read speech."""
    for name, title in (
        ("cmd_picovoice_coffee", "coffee orders"),
        ("speech_librispeech", "LibriSpeech"),
        ("speech_en_transcribed", "read speech, various"),
    ):
        manifest = real / "manifests" / f"{name}.jsonl"
        if not manifest.exists():
            continue
        items = []
        found = read_manifest(manifest, splits=splits, training=False, longest_s=_LONGEST_S)
        for utterance in found:
            label = utterance.label if isinstance(utterance.label, dict) else {}
            slots = {k: normalise(v) for k, v in label.get("slots", {}).items()}
            items.append(Item(read_audio(utterance.path), utterance.text, utterance.speaker, slots))
        if items:
            yield EvaluationSet(f"{title} ({', '.join(sorted(splits))})", items)
