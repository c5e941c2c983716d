"""flite in this process, through ctypes: voices awb, slt, rms (clustergen) and kal16 (diphone).

CMU/EST licence (BSD-like): output may be used, distributed and sold.

flite's voices are globals of its libraries, and keep pointers into what we give them, so a process
has one `Flite`, from `process_flite`, which lives as long as the process.
"""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from converters.synthesis.dictionary import Pronunciation, pronunciations
from converters.synthesis.errors import EngineError, MissingResourceError
from converters.synthesis.lexicon import StandIns, Word, to_flite
from converters.synthesis.phones import Segment, radio_phones, segments
from converters.synthesis.voices.engine import EngineSpeech, punctuated

_USUAL_PITCH_HZ = {"kal16": 95.0, "awb": 117.0, "rms": 94.0, "slt": 172.0}
_PITCH_DEVIATION_HZ = {"kal16": 11.0, "awb": 15.0, "rms": 12.0, "slt": 25.0}
_SPELLED_OUT_LIMIT = 4000


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


def _load(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise MissingResourceError(f"{name} is missing: install the package libflite1.") from error


class Flite:
    """flite with its English voices, loaded when first used.

    Raises:
        MissingResourceError: The libraries are not installed.
    """

    name = "flite"

    def __init__(self) -> None:
        self._library = _load("libflite.so.1")
        self._english = _load("libflite_usenglish.so.1")
        _load("libflite_cmulex.so.1")
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for function, result, arguments in (
            ("flite_synth_text", pointer, (text, pointer)),
            ("delete_utterance", None, (pointer,)),
            ("utt_wave", ctypes.POINTER(_Wave), (pointer,)),
            ("utt_relation", pointer, (pointer, text)),
            ("relation_head", pointer, (pointer,)),
            ("item_next", pointer, (pointer,)),
            ("ffeature_float", ctypes.c_float, (pointer, text)),
            ("ffeature_string", text, (pointer, text)),
            ("flite_feat_set_float", None, (pointer, text, ctypes.c_float)),
            ("flite_voice_add_lex_addenda", ctypes.c_int, (pointer, text)),
        ):
            entry = getattr(self._library, function)
            entry.restype, entry.argtypes = result, arguments
        self._library.flite_init()
        self._voices: dict[str, int] = {}
        # The clustergen voices' noise comes from rand(): seeded, so that history has no say.
        self._libc = ctypes.CDLL(None)
        # flite keeps the pointer to a feature's key: the buffers must live as long as the voice.
        self._keys: dict[str, ctypes.Array[ctypes.c_char]] = {}
        self._spelled_out = self._refused_words()
        self._stand_ins = StandIns(self._spelled_out.values())

    def version(self) -> str:
        """See `Engine.version`; flite's library tells its version only by its file name."""
        with open("/proc/self/maps") as maps:
            for line in maps:
                if "/libflite.so" in line:
                    return "flite " + os.path.realpath(line.split()[-1]).partition(".so.")[2]
        return "flite"

    def _refused_words(self) -> dict[str, Pronunciation]:
        """Words of the dictionary that flite would spell out letter by letter."""
        says = getattr(self._english, "us_aswd", None)
        if says is None:
            return {}
        says.restype, says.argtypes = ctypes.c_int, (ctypes.c_char_p,)
        pronounceable: Callable[[bytes], Any] = says
        refused = {
            word: phones
            for word, phones in pronunciations().items()
            if len(word) > 1 and word.isalpha() and not pronounceable(word.encode())
        }
        return refused if len(refused) < _SPELLED_OUT_LIMIT else {}

    def _voice(self, name: str) -> int:
        if name not in self._voices:
            if name not in _USUAL_PITCH_HZ:
                raise EngineError(f"flite has no voice {name!r}.")
            register = getattr(_load(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
            register.restype, register.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
            self._voices[name] = register(None)
            with tempfile.NamedTemporaryFile("w", suffix=".lex") as addenda:
                for word, phones in self._stand_ins.entries():
                    addenda.write(to_flite(word, phones) + "\n")
                addenda.flush()
                self._library.flite_voice_add_lex_addenda(self._voices[name], addenda.name.encode())
        return self._voices[name]

    def _set(self, voice: int, key: str, value: float) -> None:
        features = ctypes.cast(voice, ctypes.POINTER(_Voice)).contents.features
        buffer = self._keys.setdefault(key, ctypes.create_string_buffer(key.encode()))
        self._library.flite_feat_set_float(features, ctypes.cast(buffer, ctypes.c_char_p), value)

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
        """See `Engine.say`. Voice rms has no pitch knob."""
        handle = self._voice(voice)
        self._set(handle, "duration_stretch", stretch)
        self._set(handle, "int_f0_target_mean", _USUAL_PITCH_HZ[voice] * pitch)
        self._set(handle, "int_f0_target_stddev", _PITCH_DEVIATION_HZ[voice] * pitch_range * pitch)
        texts = [self._write(word) for word in words]
        line = " ".join(punctuated(texts, pause_after, question))
        self._libc.srand(seed & 0x7FFFFFFF)
        utterance = self._library.flite_synth_text(line.encode(), handle)
        if not utterance:
            raise EngineError(f"flite gave no sound for {line!r}.")
        try:
            wave = self._library.utt_wave(utterance).contents
            if wave.num_samples <= 0:
                raise EngineError(f"flite gave no sound for {line!r}.")
            samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
            ends = self._ends(utterance, texts)
            return EngineSpeech(samples, wave.sample_rate, ends, self._segments(utterance))
        finally:
            self._library.delete_utterance(utterance)

    def _write(self, word: Word) -> str:
        bare = word.written.removesuffix("'s")
        if word.phones not in self._stand_ins and bare in self._spelled_out:
            return self._stand_ins.write(Word(word.written, self._spelled_out[bare]))
        return self._stand_ins.write(word)

    def _ends(self, utterance: int, texts: Sequence[str]) -> tuple[float | None, ...]:
        path = b"R:SylStructure.daughtern.daughtern.R:Segment.end"
        found: list[float] = []
        item = self._library.relation_head(self._library.utt_relation(utterance, b"Word"))
        while item:
            found.append(float(self._library.ffeature_float(item, path)))
            item = self._library.item_next(item)
        return align_ends(texts, found)

    def _segments(self, utterance: int) -> tuple[Segment, ...]:
        library = self._library
        found: list[tuple[str, float]] = []
        item = library.relation_head(library.utt_relation(utterance, b"Segment"))
        while item:
            name: bytes = library.ffeature_string(item, b"name")
            found.append((radio_phones(name.decode()), library.ffeature_float(item, b"end")))
            item = library.item_next(item)
        return segments(found)

    def close(self) -> None:
        """See `Engine.close`; the library has nothing to end."""


@functools.cache
def process_flite() -> Flite:
    """The flite of this process.

    Raises:
        MissingResourceError: The libraries are not installed.
    """
    return Flite()


def align_ends(texts: Sequence[str], found: Sequence[float]) -> tuple[float | None, ...]:
    """Match an engine's word ends to written words.

    Engines cut some words in two ("siobhan's" into "siobhan" and "'s"). When the counts differ,
    only the words before the first apostrophe are certain.
    """
    if len(found) == len(texts):
        return tuple(found)
    certain = next((i for i, text in enumerate(texts) if "'" in text), 0)
    return tuple(found[i] if i < min(certain, len(found)) else None for i in range(len(texts)))
