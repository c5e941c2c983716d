"""Which real recording is what for a given wake phrase, by rule and never by hand.

A data folder holds ``manifests/<corpus>.jsonl``, one recording per line with ``path``,
``seconds``, ``split`` (train, dev, test), ``use`` (train_ok, eval_only), ``label``, ``text``,
``speaker`` and so on. For the phrase "computer":

- text that is the phrase, or ends with it ("hey computer"), makes a positive;
- text that holds its letters anywhere else ("Computerspiel") leaves the clip out: it is neither;
- everything else is a negative, and recordings without speech also serve as noise.

Without a phrase, all speech is negative: what serves any phrase is planned so.

Only ``train_ok`` recordings of the train split may shape weights; ``eval_only`` ones are never
in it, whatever their split says.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from agent.errors import UnreadableAudioError


class Role(Enum):
    """What a recording is for one wake phrase."""

    POSITIVE = "positive"
    WORD = "word"
    """A short negative: one word or a short phrase of someone else's."""
    CONFUSABLE = "confusable"
    """A hard negative: close to the phrase, or a part of it."""
    SPEECH = "speech"
    NOISE = "noise"
    ROOM = "room"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Recording:
    """One real recording and its role."""

    path: Path
    key: str
    """Path below the data folder; stable across machines."""
    seconds: float
    split: str
    trainable: bool
    role: Role
    text: str
    speaker: str


_NOISE_CORPORA = ("noise_music", "aed_esc10", "aed_baby_cry_donateacry")
_HELD_OUT_NOISE = 4
"""One noise_music recording in so many is kept for tests: that corpus has no test split."""


def spoken_text(entry: dict[str, Any]) -> str:
    """Everything that a manifest line says about its words, lower case."""
    label = entry.get("label")
    parts = [entry.get("text"), entry.get("text_auto"), label if isinstance(label, str) else None]
    return " / ".join(" ".join(str(part).lower().split()) for part in parts if part)


def role_of(entry: dict[str, Any], corpus: str, phrase: str) -> Role:
    """The role of a manifest line for a phrase (see the module's rules)."""
    if corpus == "rir":
        return Role.ROOM
    if corpus in _NOISE_CORPORA:
        return Role.NOISE
    phrase = " ".join(phrase.lower().split())
    spoken = spoken_text(entry)
    variants = spoken.split(" / ") if phrase else []
    if any(text == phrase or text.endswith(" " + phrase) for text in variants):
        return Role.POSITIVE
    if phrase and phrase.replace(" ", "") in spoken.replace(" ", ""):
        return Role.LEFT_OUT
    return Role.WORD if float(entry["seconds"]) < 2.5 else Role.SPEECH


def _split_of(entry: dict[str, Any], corpus: str) -> str:
    """The split of a manifest line, with the rule for noise that has none of its own."""
    if corpus == "noise_music" and zlib.crc32(str(entry["path"]).encode()) % _HELD_OUT_NOISE == 0:
        return "test"
    return str(entry["split"])


def read_manifests(data: Path, phrase: str) -> Iterator[Recording]:
    """All recordings of a data folder, in a fixed order.

    Args:
        data: folder that holds ``manifests/*.jsonl``.
        phrase: the wake phrase that decides the roles; may be empty.

    Raises:
        UnreadableAudioError: the folder holds no manifests.
    """
    manifests = sorted((data / "manifests").glob("*.jsonl"))
    if not manifests:
        raise UnreadableAudioError(
            f"{data} holds no manifests/*.jsonl; give the folder of the real recordings"
        )
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            yield Recording(
                path=data / entry["path"],
                key=str(entry["path"]),
                seconds=float(entry["seconds"]),
                split=_split_of(entry, manifest.stem),
                trainable=entry.get("use") == "train_ok",
                role=role_of(entry, manifest.stem, phrase),
                text=spoken_text(entry),
                speaker=str(entry.get("speaker") or f"{manifest.stem}?"),
            )


_FOLD_DEV = 5
"""One speaker in so many of those that a fold trains on is kept to choose by."""


def folded(recordings: Iterable[Recording], fold: int) -> Iterator[Recording]:
    """Deals the positives anew for speaker-wise two-fold training; all others stay.

    Args:
        recordings: of all splits.
        fold: 1 or 2. The positives of every other speaker become its test split, and those of the
            rest are trained on or chosen by.
    """
    found = list(recordings)
    speakers = {r.speaker for r in found if r.role is Role.POSITIVE and r.trainable}
    ranks = {name: n for n, name in enumerate(sorted(speakers, key=_draw))}
    for each in found:
        rank = ranks.get(each.speaker)
        if each.role is not Role.POSITIVE or rank is None:
            yield each
        elif rank % 2 == fold - 1:
            yield replace(each, split="test")
        else:
            yield replace(each, split="dev" if rank // 2 % _FOLD_DEV == 0 else "train")


def _draw(speaker: str) -> int:
    return zlib.crc32(f"fold {speaker}".encode())
