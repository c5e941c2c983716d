"""One person's prompted recordings: a folder of audio files and what is said in them.

    prompts.tsv     one line a recording: name, tab, sentence (what --print-prompts prints)
    001.wav         any format and rate that libsndfile reads; the name is that of the line
    002.flac
    002.txt         optional: what is really said there, instead of the line's sentence

A line without a recording is left for another day; a recording without any text stops the
command, because guessing would teach the recogniser its own mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.adaptation.errors import RecordingsError
from converters.asr.corpora import LONGEST_S, SHORTEST_S, read_audio
from converters.asr.text import normalise
from converters.synthesis.text import TextGenerator

PROMPTS = "prompts.tsv"
_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au"}
_LARGEST_TEXT = 1 << 20
"""Bytes of a text file beyond which it is no list of sentences."""
_LONGEST_PROMPT = 9
"""Words of a sentence that is still read in one breath."""
_FEWEST_WORDS = 3


@dataclass(frozen=True)
class Recording:
    """One sentence, read."""

    name: str
    samples: NDArray[np.int16]
    """int16 [n], mono, 16 kHz."""
    text: str
    """Normalised."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE


def prompts(count: int, seed: int) -> list[str]:
    """Different sentences to read aloud: commands and free text as in training.

    Args:
        count: how many.
        seed: other sentences for another seed.
    """
    generator = TextGenerator(seed, "train")
    found: dict[str, None] = {}
    while len(found) < count:
        text = generator.sentence().text
        if _FEWEST_WORDS <= len(text.split()) <= _LONGEST_PROMPT:
            found[text] = None
    return list(found)


def read_recordings(folder: Path) -> list[Recording]:
    """All recordings of a folder, in the order of their names.

    Raises:
        RecordingsError: there are none, one has no text, or one cannot be read or is too long.
    """
    if not folder.is_dir():
        raise RecordingsError(f"{folder} is no folder; give the one with the recordings.")
    listed = _listed(folder / PROMPTS)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise RecordingsError(
            f"{folder} holds no recordings: put NAME.wav (or flac, ogg, mp3) there for each line"
            f" of {PROMPTS}."
        )
    return [_read(path, _text(path, listed)) for path in files]


def _read(path: Path, text: str) -> Recording:
    try:
        seconds = soundfile.info(path).duration
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise RecordingsError(
                f"{path} lasts {seconds:.1f} s; record one sentence of {SHORTEST_S} to"
                f" {LONGEST_S:.0f} s in each file."
            )
        return Recording(path.stem, read_audio(path), text)
    except (OSError, soundfile.SoundFileError) as error:
        raise RecordingsError(f"{path} cannot be read ({error}); record it again.") from error


def _text(path: Path, listed: dict[str, str]) -> str:
    beside = path.with_suffix(".txt")
    text = normalise(_content(beside) if beside.exists() else listed.get(path.stem, ""))
    if not text:
        raise RecordingsError(
            f"Nothing tells what is said in {path}: write it into {beside.name}, or into a line"
            f" '{path.stem}, tab, sentence' of {PROMPTS}."
        )
    return text


def _listed(path: Path) -> dict[str, str]:
    """Sentences by the stem of their recording."""
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(_content(path).splitlines(), 1):
        name, tab, text = line.partition("\t")
        if not line.strip():
            continue
        if not tab:
            raise RecordingsError(f"Line {number} of {path} has no tab between name and sentence.")
        found[Path(name.strip()).stem] = text
    return found


def _content(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_TEXT + 1)
        if len(content) > _LARGEST_TEXT:
            raise RecordingsError(f"{path} is larger than {_LARGEST_TEXT} bytes; shorten it.")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingsError(f"{path} is no readable UTF-8 text ({error}).") from error
