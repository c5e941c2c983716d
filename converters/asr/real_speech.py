"""Real recordings to train on, with what is said in them and when.

    manifests ─▶ transcribed ─────────── aligned ─┐
              └▶ without a transcript ─ sure parts ┴▶ real.jsonl ─▶ sources of shards

The teacher hears every recording once; what it says is kept beside the features, because a dozen
augmented copies are made of each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converters.asr.corpora import read_audio, read_manifest, untranscribed
from converters.asr.shards import Source
from converters.asr.teacher import Stretch, Teacher, cut, stretches
from converters.synthesis.phones import Segment

REAL_SETS = ("cmd_picovoice_coffee", "speech_en_transcribed", "digits_fsdd", "wake_picovoice",
             "wake_precise", "speech_librispeech", "kw_custom_shawnhymel")  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """An utterance in a recording."""

    path: str
    text: str
    """Normalised."""
    guessed: bool
    """Whether the teacher recognised the words; otherwise they were given."""
    start_s: float | None = None
    """Where it lies in the recording; None: it is all of it."""
    end_s: float | None = None
    phones: str = ""
    """Separated by spaces, "?" where unknown; empty: nothing is known."""
    phone_ends_ms: tuple[int, ...] = ()

    def source(self) -> Source:
        """With its sound."""
        samples = read_audio(Path(self.path))
        if self.start_s is not None and self.end_s is not None:
            samples = cut(samples, Stretch(self.start_s, self.end_s, self.text))
        ends = [end / 1000 for end in self.phone_ends_ms]
        return Source(samples, self.text, None, self.phones.split(), ends)


def sources(real: Path, kept: Path, wanted: Callable[[str], bool]) -> Iterator[Source]:
    """Utterances whose text is wanted.

    Args:
        real: folder with ``manifests/`` and recordings.
        kept: file that what the teacher says is kept in; made if it is missing.
        wanted: by the normalised text.
    """
    if not kept.exists():
        label(real, kept)
    for line in kept.read_text().splitlines():
        entry = Labelled(**json.loads(line))
        if wanted(entry.text):
            yield entry.source()


def label(real: Path, kept: Path) -> None:
    """Lets the teacher hear every training recording of a folder; the file appears at the end."""
    teacher = Teacher()
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
    with part.open("w") as file:
        for entry in _labelled(real, teacher):
            file.write(json.dumps(asdict(entry)) + "\n")
    part.replace(kept)


def _labelled(real: Path, teacher: Teacher) -> Iterator[Labelled]:
    for name in REAL_SETS:
        manifest = real / "manifests" / f"{name}.jsonl"
        if not manifest.exists():
            continue
        for utterance in read_manifest(manifest, splits={"train"}, training=True):
            known = teacher.align(read_audio(utterance.path), utterance.text)
            yield Labelled(str(utterance.path), utterance.text, False, **_timed(known))
        for path in untranscribed(manifest, splits={"train"}, training=True):
            yield from _guessed(path, teacher)


def _guessed(path: Path, teacher: Teacher) -> Iterator[Labelled]:
    samples = read_audio(path)
    for stretch in stretches(teacher.recognise(samples)):
        known = teacher.align(cut(samples, stretch), stretch.text)
        if known:  # what cannot be aligned was hardly said
            times = (round(stretch.start_s, 3), round(stretch.end_s, 3))
            yield Labelled(str(path), stretch.text, True, *times, **_timed(known))


def _timed(known: tuple[Segment, ...]) -> dict[str, Any]:
    return {
        "phones": " ".join(s.phone or "?" for s in known),
        "phone_ends_ms": tuple(round(1000 * s.end_s) for s in known),
    }
