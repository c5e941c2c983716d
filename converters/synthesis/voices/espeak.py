"""espeak-ng in this process, through ctypes.

espeak-ng is GPL-3+; it runs here as a tool and its formant output holds no recorded speech.

The library keeps its state in globals and hangs when it is started again after its end, so a
process has one `Espeak`, from `process_espeak`, which lives as long as the process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.synthesis.errors import EngineError, MissingResourceError
from converters.synthesis.lexicon import Word, possessive, to_espeak
from converters.synthesis.phones import SILENCE, Segment, espeak_phones, moved, segments
from converters.synthesis.voices.engine import EngineSpeech, punctuated
from converters.synthesis.voices.espeak_variants import private_data

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _NO_EXIT_ON_ERROR = 0x1, 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8_AND_PHONEMES = 1 | 0x100
_END_OF_EVENTS, _WORD_EVENT, _PHONEME_EVENT = 0, 1, 7
_WORDS_PER_MINUTE = 158
"""Rate at stretch 1: slow enough that the Klatt voices stay clear."""
_USUAL_PITCH, _USUAL_RANGE = 50, 50
_COMMA_S = 0.22
"""Length of the pause at a comma, at stretch 1."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """espeak-ng with the home-made variants.

    Args:
        cache: Where the private data folder is kept.

    Raises:
        MissingResourceError: The library or its data is not installed.
    """

    name = "espeak"

    def __init__(self, cache: Path) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise MissingResourceError(
                "libespeak-ng is missing: install the package libespeak-ng1."
            ) from error
        self._library.espeak_Info.restype = ctypes.c_char_p
        # Its noise sources call rand(): seeded before each utterance, so that history has no say.
        self._libc = ctypes.CDLL(None)
        data = private_data(cache)
        self._rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data).encode(), _PHONEME_EVENTS | _NO_EXIT_ON_ERROR
        )
        if self._rate <= 0:
            raise MissingResourceError(
                f"espeak-ng cannot use its data in {data}: delete the folder."
            )
        self._chunks: list[npt.NDArray[np.int16]] = []
        self._words_heard: dict[int, int] = {}
        self._phones_heard: list[tuple[str, int]] = []
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def version(self) -> str:
        """See `Engine.version`."""
        text: bytes = self._library.espeak_Info(None)
        return "espeak-ng " + text.decode().split()[0]

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events and events[place].type != _END_OF_EVENTS:
            if events[place].type == _WORD_EVENT:
                self._words_heard.setdefault(events[place].text_position, events[place].sample)
            elif events[place].type == _PHONEME_EVENT:
                self._phones_heard.append((events[place].id.decode(), events[place].sample))
            place += 1
        return 0

    def say(
        self,
        voice: str,
        words: Sequence[Word],
        *,
        stretch: float,
        pitch: float,
        pitch_range: float,
        pause_after: int | None,
        question: bool,
        seed: int,
    ) -> EngineSpeech:
        """See `Engine.say`. A voice is `language+variant`; word ends come from its events."""
        # Set even if it is the voice already: that resets what the last utterance left behind.
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EngineError(f"espeak-ng has no voice {voice!r}.")
        for parameter, value in (
            (_RATE, np.clip(_WORDS_PER_MINUTE / stretch, 80, 450)),
            (_PITCH, np.clip(_USUAL_PITCH * pitch, 0, 99)),
            (_RANGE, np.clip(_USUAL_RANGE * pitch_range, 0, 99)),
        ):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        texts = punctuated([_written(word) for word in words], pause_after, question)
        # The pause at a comma is made here: espeak's own varies with what it said before.
        cut = len(texts) if pause_after is None else pause_after + 1
        samples, ends, phones = self._speak(texts[:cut], seed)
        if cut < len(texts):
            rest, more, sounded = self._speak(texts[cut:], seed + 1)
            samples = np.trim_zeros(samples, "b")
            samples = np.append(samples, np.zeros(round(_COMMA_S * stretch * self._rate), np.int16))
            shift = len(samples) / self._rate
            ends += [None if end is None else end + shift for end in more]
            phones = (*phones, Segment(SILENCE, shift), *moved(sounded, 1.0, shift))
            samples = np.append(samples, rest)
        return EngineSpeech(samples, self._rate, tuple(ends), phones)

    def _speak(
        self, texts: Sequence[str], seed: int
    ) -> tuple[npt.NDArray[np.int16], list[float | None], tuple[Segment, ...]]:
        """One clause: its samples, where its words end in seconds, and its phones."""
        # The first sound leans on the last one of the utterance before: let that be a fixed one.
        self._run("[[n'a]]")
        self._libc.srand(seed & 0x7FFFFFFF)
        self._run(" ".join(texts))
        if not self._chunks:
            raise EngineError(f"espeak-ng gave no sound for {' '.join(texts)!r}.")
        samples = np.concatenate(self._chunks)
        starts: list[int | None] = []
        position = 1  # espeak counts characters from 1.
        for text in texts:
            starts.append(self._words_heard.get(position))
            position += len(text) + 1
        sounding = len(np.trim_zeros(samples, "b"))
        ends = [*starts[1:], sounding]
        seconds = [None if end is None else end / self._rate for end in ends]
        return samples, seconds, self._segments(sounding, len(samples))

    def _segments(self, sounding: int, count: int) -> tuple[Segment, ...]:
        # An event tells where a phone begins: it ends where the next one begins.
        begins = [begin for _, begin in self._phones_heard]
        translated = [espeak_phones(mnemonic) for mnemonic, _ in self._phones_heard]
        # What the last pauses say of themselves varies with what was said before.
        while translated and translated[-1] == SILENCE:
            translated.pop()
        phone_ends = [*begins[1 : len(translated)], sounding, count]
        in_seconds = (end / self._rate for end in phone_ends)
        return segments(zip([*translated, SILENCE], in_seconds, strict=True))

    def _run(self, text: str) -> None:
        self._chunks.clear()
        self._words_heard.clear()
        self._phones_heard.clear()
        line = text.encode()
        self._library.espeak_Synth(
            line, ctypes.c_size_t(len(line) + 1), 0, 1, 0, _UTF8_AND_PHONEMES, None, None
        )

    def close(self) -> None:
        """See `Engine.close`; the library stays loaded, as it could not be started again."""


_started: list[Espeak] = []


def process_espeak(cache: Path) -> Espeak:
    """The espeak-ng of this process; `cache` matters at the first call only.

    Raises:
        MissingResourceError: The library or its data is not installed.
    """
    if not _started:
        _started.append(Espeak(cache))
    return _started[0]


def _written(word: Word) -> str:
    if word.phones is None:
        return word.written
    phones = possessive(word.phones) if word.written.endswith("'s") else word.phones
    return to_espeak(phones)
