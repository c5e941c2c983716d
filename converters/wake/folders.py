"""Folders of plain recordings: an owner's own calls, and sounds that must not wake.

Nothing but audio files is needed; a folder inside names the speaker. What the agent keeps as near
misses and false accepts is such a folder, too.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from agent.errors import UnreadableAudioError
from agent.hearing.features import SAMPLE_RATE
from converters.wake.recordings import Role
from converters.wake.utterances import Utterance, read_audio

_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au"}
_SHORT_S = 2.5
_TUNING_FROM = 10
"""From so many own positives on, one in five is kept back to choose by."""
_TUNING_SHARE = 5


def folder_utterances(folder: Path, *, positive: bool) -> list[Utterance]:
    """All recordings below a folder, in the order of their names.

    Args:
        folder: its own folders name speakers; files right in it belong to one.
        positive: each recording holds the wake phrase once; else none of them holds it.

    Raises:
        UnreadableAudioError: there is no such folder, or nothing in it.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UnreadableAudioError(f"{folder} holds no recordings; give a folder with audio files")
    return [_utterance(folder, path, positive=positive) for path in paths]


def _utterance(folder: Path, path: Path, *, positive: bool) -> Utterance:
    samples = read_audio(path)
    if positive:
        role = Role.POSITIVE
    else:
        role = Role.WORD if len(samples) < _SHORT_S * SAMPLE_RATE else Role.SPEECH
    inside = path.relative_to(folder)
    speaker = inside.parts[0] if len(inside.parts) > 1 else folder.name
    # Its content is in the key: a recording that is replaced is another one.
    key = f"own {role.value} {inside} {zlib.crc32(samples.tobytes()):08x}"
    return Utterance(key, role, True, f"own {speaker}", lambda: read_audio(path))


def kept_back(positives: list[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """Own positives to train on and to choose by; few are too dear to be kept back."""
    if len(positives) < _TUNING_FROM:
        return positives, []
    ranked = sorted(positives, key=lambda u: zlib.crc32(u.key.encode()))
    count = len(ranked) // _TUNING_SHARE
    return ranked[count:], ranked[:count]
