"""Where training and evaluation utterances come from: synthetic pools and real recordings.

A real corpus is a folder with JSON-lines manifests; each line names a ``path`` relative to the
folder's parent (or to the folder), a ``split``, a ``text`` (or ``text_auto``), a ``speaker`` and
a ``use``. Lines whose ``use`` is ``eval_only`` never reach training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.asr.text import normalise

LONGEST_S = 16.0
SHORTEST_S = 0.3


@dataclass(frozen=True)
class Utterance:
    """One transcribed recording."""

    path: Path
    text: str
    """Normalised."""
    speaker: str
    seconds: float
    label: Any = None
    """What the corpus says beside the words, such as intent and slots."""


def read_manifest(
    manifest: Path,
    *,
    splits: set[str],
    training: bool,
    language: str = "en",
    longest_s: float = LONGEST_S,
) -> Iterator[Utterance]:
    """Utterances of a manifest with a transcript of usable length.

    Args:
        manifest: JSON-lines file; paths are relative to the parent of its folder.
        splits: which ones to take.
        training: drops everything that may not shape weights.
        language: drops other languages.
        longest_s: drops longer recordings.
    """
    for record in _usable(manifest, splits, training, language):
        text = record.get("text") or record.get("text_auto")
        if not text or not SHORTEST_S <= record["seconds"] <= longest_s:
            continue
        yield Utterance(
            path=manifest.parent.parent / record["path"],
            text=normalise(text),
            speaker=record.get("speaker") or manifest.stem,
            seconds=record["seconds"],
            label=record.get("label"),
        )


def untranscribed(
    manifest: Path, *, splits: set[str], training: bool, language: str = "en"
) -> Iterator[Path]:
    """Recordings of a manifest that nobody has written down; arguments as `read_manifest`."""
    for record in _usable(manifest, splits, training, language):
        if not (record.get("text") or record.get("text_auto")):
            yield manifest.parent.parent / record["path"]


def _usable(
    manifest: Path, splits: set[str], training: bool, language: str
) -> Iterator[dict[str, Any]]:
    for line in manifest.read_text().splitlines():
        record = json.loads(line)
        if record["split"] not in splits or record.get("language") != language:
            continue
        if not training or record.get("use") == "train_ok":
            yield record


def read_audio(path: Path) -> NDArray[np.int16]:
    """A whole recording as int16 mono at 16 kHz, whatever it was stored as."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
