"""What every speech engine offers. One instance per process; none is safe for several threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from converters.synthesis.lexicon import Word
from converters.synthesis.phones import Segment


@dataclass(frozen=True)
class EngineSpeech:
    """What an engine has said."""

    samples: npt.NDArray[np.int16]
    """Mono, shape [n], at `rate`."""
    rate: int
    """Samples per second."""
    word_ends: tuple[float | None, ...]
    """End of each word in seconds as the engine planned it; None where it is not known."""
    segments: tuple[Segment, ...]
    """What is sounded when, from the first sample on."""


class Engine(Protocol):
    """An engine with one or more voices."""

    name: str

    def version(self) -> str:
        """Name and version of the engine, for the pool's record."""
        ...

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
        """Say words.

        Args:
            voice: One of the engine's voices.
            words: At least one.
            stretch: Factor on all durations (2 = half as fast).
            pitch: Factor on the mean pitch of the voice; ignored where the voice has no such knob.
            pitch_range: Factor on how far the pitch moves; ignored likewise.
            pause_after: Index of a word after which a comma stands.
            question: Say it as a question, where the engine knows how.
            seed: Seeds what is random in the engine.

        Raises:
            EngineError: The engine gave no speech.
        """
        ...

    def close(self) -> None:
        """End what the engine has started."""
        ...


def punctuated(texts: Sequence[str], pause_after: int | None, question: bool) -> list[str]:
    """Put the comma and the final mark on written words."""
    marked = list(texts)
    if pause_after is not None and pause_after < len(marked) - 1:
        marked[pause_after] += ","
    marked[-1] += "?" if question else ""
    return marked
