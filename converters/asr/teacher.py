"""What real people sound, told by a recogniser that was trained on real people.

A synthesiser knows when it says which phone; of a recording at best the words are known.
PocketSphinx and its English model (both BSD) fill in the rest, constrained by what is known: where
there is a transcript, its phones are aligned to the sound; where there is none, it recognises, and
only stretches of words that it is sure of are used (pseudo-labels, Kahn et al. 2020,
arXiv:1909.09116). Its model is trained on hundreds of hours of real voices, which we have not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.asr.text import normalise
from converters.synthesis.errors import MissingResourceError
from converters.synthesis.phones import PHONE_INDEX, SILENCE, Segment

FRAME_S = 0.01
"""PocketSphinx's frame."""
SURE = 0.8
"""Least posterior of a word in a stretch that is used."""
FEWEST_WORDS = 3
"""Words of a stretch; shorter ones are too often a part of something else."""
LONGEST_S = 4.5
"""A stretch ends at the next word's end after this: rows of a batch are short."""
_MARGIN_S = 0.06
"""Sound kept before the first word and behind the last one."""


@dataclass(frozen=True)
class HeardWord:
    """A word, or a pause, that the teacher recognised."""

    text: str
    """As in its dictionary without a variant's number; "" for pauses and noises."""
    start_s: float
    end_s: float
    sure: float
    """Posterior in its lattice, 0 to 1."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive words that the teacher is sure of."""

    start_s: float
    end_s: float
    text: str
    """Normalised."""


def stretches(words: Sequence[HeardWord]) -> Iterator[Stretch]:
    """Cuts what was recognised into utterances of words that are all sure.

    Args:
        words: of one recording, in order, pauses among them. A pause never spoils a stretch:
            whether there is one does not matter to what is said.
    """
    run: list[HeardWord] = []
    for word in (*words, HeardWord("?", 0.0, 0.0, 0.0)):
        if not word.text and word.sure < SURE and not run:
            continue
        doubtful = bool(word.text) and word.sure < SURE
        if not doubtful:
            run.append(word)
        spoken = [w for w in run if w.text]
        too_long = bool(spoken) and spoken[-1].end_s - spoken[0].start_s >= LONGEST_S
        if doubtful or too_long:
            if len(spoken) >= FEWEST_WORDS:
                yield Stretch(
                    max(0.0, spoken[0].start_s - _MARGIN_S),
                    spoken[-1].end_s + _MARGIN_S,
                    normalise(" ".join(w.text for w in spoken)),
                )
            run = []


class Teacher:
    """PocketSphinx with its stock English model.

    Raises:
        MissingResourceError: pocketsphinx is not installed.
    """

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise MissingResourceError(
                "pocketsphinx is missing, which tells what real people sound: pip install"
                " pocketsphinx, or train without --real."
            ) from error

        self._aligner = Decoder(lm=None, bestpath=False, loglevel="FATAL")
        self._recogniser = Decoder(loglevel="FATAL")

    def align(self, samples: NDArray[np.int16], text: str) -> tuple[Segment, ...]:
        """When each phone of a known text ends.

        Args:
            samples: int16 [n], mono, 16 kHz.
            text: normalised.

        Returns:
            One segment after the other from the first sample; nothing where a word is not in the
            teacher's dictionary or the sound does not fit the text.
        """
        words = text.split()
        if not words or any(self._aligner.lookup_word(word) is None for word in words):
            return ()
        aligner = self._aligner
        aligner.set_align_text(text)
        _listen(aligner, samples)
        if aligner.hyp() is None:
            return ()
        # The second pass splits the words of the first into their phones. It has no hypothesis:
        # asking for one crashes PocketSphinx 5.1.
        aligner.set_alignment()
        _listen(aligner, samples)
        return tuple(
            Segment(_phone(phone.name), (phone.start + phone.duration) * FRAME_S)
            for word in aligner.get_alignment()
            for phone in word
        )

    def recognise(self, samples: NDArray[np.int16]) -> list[HeardWord]:
        """What it hears in int16 [n], mono, 16 kHz, without being told anything."""
        _listen(self._recogniser, samples)
        if self._recogniser.hyp() is None:
            return []
        return [
            HeardWord(
                "" if segment.word.startswith(("<", "[", "+")) else segment.word.split("(")[0],
                segment.start_frame * FRAME_S,
                (segment.end_frame + 1) * FRAME_S,
                float(segment.prob),
            )
            for segment in self._recogniser.seg()
        ]


def cut(samples: NDArray[np.int16], stretch: Stretch) -> NDArray[np.int16]:
    """The sound of a stretch: int16 [m]."""
    begin, end = (round(at * SAMPLE_RATE) for at in (stretch.start_s, stretch.end_s))
    return samples[begin:end]


def _listen(decoder: Any, samples: NDArray[np.int16]) -> None:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()


def _phone(name: str) -> str:
    """The teacher's phone in our set; its noises are something unknown."""
    if name == "SIL":
        return SILENCE
    lower = name.lower()
    return lower if lower in PHONE_INDEX else ""
