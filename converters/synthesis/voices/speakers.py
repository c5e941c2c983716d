"""The speakers of each split: real voices, and pseudo-speakers made from them.

A pseudo-speaker shifts a voice's formants and pitch. Formants are shifted by resampling, which
needs no vocoder (see `rendering.py`). The voice slt leaves the adult range, and becomes hard to
understand, when its formants go up, so hers go down only.

Held out: rms is for the tests, ked for the dev set. kal16 and kal are the same person, and so are
slt and slt_hts: all of them are in training.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

from converters.synthesis.holdout import Split
from converters.synthesis.voices.espeak_variants import VARIANT_COUNT, variant_name


@dataclass(frozen=True)
class Speaker:
    """Somebody who can say things."""

    engine: str
    voice: str
    variant: str
    """Distinguishes the pseudo-speakers of a voice."""
    pitch: float = 1.0
    """Factor on the voice's pitch."""
    formant: float = 1.0
    """Factor on the voice's formants, by resampling."""
    rates: tuple[float, float] = (0.75, 1.3)
    """Slowest and fastest speaking rate, 1 being the engine's own."""

    @property
    def name(self) -> str:
        """Unique name: engine/voice/variant."""
        return f"{self.engine}/{self.voice}/{self.variant}"


@dataclass(frozen=True)
class _Family:
    """A voice from which pseudo-speakers are drawn."""

    engine: str
    voice: str
    share: float
    """Share of the utterances in training."""
    formants: tuple[float, float]
    pitch_knob: bool = True
    count: int = 80


_FAMILIES = (
    _Family("flite", "awb", 0.20, (0.88, 1.18)),
    _Family("flite", "slt", 0.20, (0.84, 1.01)),
    _Family("flite", "kal16", 0.10, (0.88, 1.18)),
    _Family("festival", "kal", 0.15, (0.88, 1.18)),
    _Family("festival", "slt_hts", 0.10, (0.84, 1.01), pitch_knob=False),
)
_ESPEAK_SHARE = 0.25
_ESPEAK_LANGUAGES = (("en-us", 0.78), ("en", 0.12), ("en-us-nyc", 0.05), ("en-gb-x-rp", 0.05))
_SEED = 77
_HELD_OUT: dict[Split, Speaker] = {
    "dev": Speaker("festival", "ked", "plain", rates=(0.85, 1.15)),
    "test": Speaker("flite", "rms", "plain", rates=(0.85, 1.15)),
}


def _pseudo_speakers(family: _Family) -> list[Speaker]:
    rng = random.Random(f"{_SEED}/{family.engine}/{family.voice}")
    made = [Speaker(family.engine, family.voice, "plain")]
    for number in range(1, family.count):
        formant = round(rng.uniform(*family.formants), 3)
        # Small people have high voices, but not strictly: pitch follows the formants loosely.
        pitch = round(formant**2.5 * rng.uniform(0.82, 1.22), 3) if family.pitch_knob else formant
        made.append(Speaker(family.engine, family.voice, f"p{number}", pitch, formant))
    return made


@functools.cache
def weighted_speakers(split: Split) -> tuple[tuple[Speaker, ...], tuple[float, ...]]:
    """The speakers of a split and how often each is drawn."""
    if split != "train":
        return (_HELD_OUT[split],), (1.0,)
    chosen: list[Speaker] = []
    weights: list[float] = []
    for language, share in _ESPEAK_LANGUAGES:
        for number in range(VARIANT_COUNT):
            variant = variant_name(number)
            chosen.append(Speaker("espeak", f"{language}+{variant}", "plain"))
            weights.append(_ESPEAK_SHARE * share / VARIANT_COUNT)
    for family in _FAMILIES:
        members = _pseudo_speakers(family)
        chosen += members
        weights += [family.share / len(members)] * len(members)
    return tuple(chosen), tuple(weights)


def speakers(split: Split) -> tuple[Speaker, ...]:
    """All speakers of a split: train, dev (ked) or test (rms)."""
    return weighted_speakers(split)[0]
