"""espeak-ng in this process, through ctypes.

espeak-ng is GPL-3+; it runs here as a tool and its formant output holds no recorded speech.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from converters.synthesis.errors import EngineError, MissingResourceError
from converters.synthesis.lexicon import Word, possessive, to_espeak
from converters.synthesis.voices.engine import EngineSpeech, punctuated
from converters.synthesis.voices.espeak_variants import private_data

_SYNCHRONOUS = 2
_NO_EXIT_ON_ERROR = 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8_AND_PHONEMES = 1 | 0x100
_END_OF_EVENTS, _WORD_EVENT = 0, 1
_WORDS_PER_MINUTE = 158
"""Rate at stretch 1: slow enough that the Klatt voices stay clear."""
_USUAL_PITCH, _USUAL_RANGE = 50, 50


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
            _SYNCHRONOUS, 0, str(data).encode(), _NO_EXIT_ON_ERROR
        )
        if self._rate <= 0:
            raise MissingResourceError(f"espeak-ng cannot use its data in {data}: delete the folder.")
        self._chunks: list[np.ndarray] = []
        self._words_heard: dict[int, int] = {}
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def version(self) -> str:
        """See `Engine.version`."""
        text: bytes = self._library.espeak_Info(None)
        return "espeak-ng " + text.decode().split()[0]

    def _receive(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if count > 0 and samples:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events and events[place].type != _END_OF_EVENTS:
            if events[place].type == _WORD_EVENT:
                self._words_heard.setdefault(events[place].text_position, events[place].sample)
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
        if voice != self._voice:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise EngineError(f"espeak-ng has no voice {voice!r}.")
            self._voice = voice
        for parameter, value in (
            (_RATE, np.clip(_WORDS_PER_MINUTE / stretch, 80, 450)),
            (_PITCH, np.clip(_USUAL_PITCH * pitch, 0, 99)),
            (_RANGE, np.clip(_USUAL_RANGE * pitch_range, 0, 99)),
        ):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._libc.srand(seed & 0x7FFFFFFF)
        texts = punctuated([_written(word) for word in words], pause_after, question)
        line = " ".join(texts).encode()
        self._chunks.clear()
        self._words_heard.clear()
        self._library.espeak_Synth(
            line, ctypes.c_size_t(len(line) + 1), 0, 1, 0, _UTF8_AND_PHONEMES, None, None
        )
        if not self._chunks:
            raise EngineError(f"espeak-ng gave no sound for {line.decode()!r}.")
        samples = np.concatenate(self._chunks)
        return EngineSpeech(samples, self._rate, self._ends(texts, len(samples)))

    def _ends(self, texts: Sequence[str], total: int) -> tuple[float | None, ...]:
        starts: list[int | None] = []
        position = 1  # espeak counts characters from 1.
        for text in texts:
            starts.append(self._words_heard.get(position))
            position += len(text) + 1
        following = [*starts[1:], total]
        return tuple(None if end is None else end / self._rate for end in following)

    def close(self) -> None:
        """See `Engine.close`."""
        self._library.espeak_Terminate()


def _written(word: Word) -> str:
    if word.phones is None:
        return word.written
    phones = possessive(word.phones) if word.written.endswith("'s") else word.phones
    return to_espeak(phones)
