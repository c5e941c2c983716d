"""Other wake-word engines on the very same streams, where they are installed.

    pip install pymicro-wakeword pyopen-wakeword       # in an environment beside the converters

They are measured and never teach anything that ships: their models' licences do not allow it. Each
knows a few words only; for another one it takes part in nothing but the measurement of CPU.
"""

from __future__ import annotations

import abc
import hashlib
import importlib
import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import SAMPLE_RATE
from converters.evaluation.wake_counts import Event, Heard, microphone
from converters.wake.scenes import Scene

_REFRACTORY_S = 1.5
"""As long as ours, so that one word said once counts once for everybody."""

Told = dict[bytes, list[tuple[float, float]]]


class _Peer(abc.ABC):
    """What both have in common: from probabilities to events, and the time it takes.

    Args:
        name: of the engine.
        word: one that it knows.
        threshold: its probability of an event.
        told: what the engine said to streams that it has heard, by their samples' hash; shared by
            the peers that differ in the threshold alone. None: it hears all anew.
    """

    def __init__(self, name: str, word: str, threshold: float, told: Told | None = None) -> None:
        self._told = told
        self.name = f"{name} ({word}, {threshold:g})"
        self.word = word
        self.threshold = threshold
        self.cpu_s = self.audio_s = 0.0

    @abc.abstractmethod
    def _reset(self) -> None:
        """Goes back to the state after construction."""

    @abc.abstractmethod
    def _probabilities(self, block: NDArray[np.int16]) -> Iterator[float]:
        """The engine's probabilities after a block int16 [640], none or several."""

    def play(self, stream: Scene) -> Heard:
        """Plays a stream after a reset, in blocks of 40 ms as a microphone delivers them."""
        found: list[Event] = []
        peak, armed = 0.0, True
        for now, probability in self._answers(stream):
            peak = max(peak, probability)
            if probability <= self.threshold:
                armed = True
            elif armed and (not found or now >= found[-1].time_s + _REFRACTORY_S):
                armed = False
                found.append(Event(now))
        return Heard(stream, found, peak)

    def _answers(self, stream: Scene) -> list[tuple[float, float]]:
        """Times in seconds and probabilities; what was told before takes no time."""
        name = hashlib.sha256(stream.samples.tobytes()).digest()
        if self._told is not None and name in self._told:
            return self._told[name]
        self._reset()
        blocks = microphone(stream.samples)
        block_s = blocks.shape[1] / SAMPLE_RATE
        began = time.process_time()
        answers = [
            ((number + 1) * block_s, probability)
            for number, block in enumerate(blocks)
            for probability in self._probabilities(block)
        ]
        self.cpu_s += time.process_time() - began
        self.audio_s += blocks.size / SAMPLE_RATE
        if self._told is not None:
            self._told[name] = answers
        return answers


class MicroWakeWord(_Peer):
    """pymicro-wakeword: the mean of the last five probabilities, one every 30 ms."""

    def __init__(self, word: str, threshold: float, told: Told | None = None) -> None:
        super().__init__("microWakeWord", word, threshold, told)
        self._library: Any = importlib.import_module("pymicro_wakeword")
        self._model = self._library.MicroWakeWord.from_builtin(self._library.Model(word))
        self._features = self._library.MicroWakeWordFeatures()

    def _reset(self) -> None:
        self._model.reset()
        self._features = self._library.MicroWakeWordFeatures()

    def _probabilities(self, block: NDArray[np.int16]) -> Iterator[float]:
        for features in self._features.process_streaming(block.tobytes()):
            probability = self._model.process_streaming_prob(features)
            if probability is not None:
                yield float(probability)


class OpenWakeWord(_Peer):
    """pyopen-wakeword: a probability every 80 ms, over the last two seconds."""

    def __init__(self, word: str, threshold: float, told: Told | None = None) -> None:
        super().__init__("openWakeWord", word, threshold, told)
        library: Any = importlib.import_module("pyopen_wakeword")
        self._model = library.OpenWakeWord.from_builtin(library.Model(word))
        self._features = library.OpenWakeWordFeatures.from_builtin()

    def _reset(self) -> None:
        self._model.reset()
        self._features.reset()

    def _probabilities(self, block: NDArray[np.int16]) -> Iterator[float]:
        for embedding in self._features.process_streaming(block.tobytes()):
            for probability in self._model.process_streaming(embedding):
                yield float(probability)


def _words(package: str) -> list[str]:
    """The words that an engine knows; none where it is not installed."""
    if importlib.util.find_spec(package) is None:
        return []
    return [model.value for model in importlib.import_module(package).Model]


def installed_peers(phrase: str, thresholds: tuple[float, ...]) -> tuple[list[_Peer], list[_Peer]]:
    """The engines that are installed.

    Args:
        phrase: our wake phrase.
        thresholds: each engine that knows the phrase takes part once with each.

    Returns:
        Those that know the phrase, and one of each engine for the measurement of CPU.
    """
    kinds = (("pymicro_wakeword", MicroWakeWord), ("pyopen_wakeword", OpenWakeWord))
    scored: list[_Peer] = []
    timed: list[_Peer] = []
    for package, kind in kinds:
        words = _words(package)
        if not words:
            continue
        name = phrase.lower().replace(" ", "_")
        if name in words:
            told: Told = {}
            scored += [kind(name, threshold, told) for threshold in thresholds]
        timed.append(kind(name if name in words else words[-1], 0.9))
    return scored, timed
