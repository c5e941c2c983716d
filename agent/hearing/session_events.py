"""What a session tells: its states and the events that `Session.process` returns.

Times are seconds of audio since the start of the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.result import Endpoint, Hypothesis, Routing, Utterance, WakeMark


class State(Enum):
    """What the session is doing; see `agent.hearing.session`."""

    IDLE = "idle"
    LISTENING = "listening"
    RECOGNISING = "recognising"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Woken:
    """The wake word was heard."""

    word: str
    score: float
    time_s: float
    """End of the word."""
    level_dbfs: float | None


@dataclass(frozen=True, slots=True)
class Moved:
    """The state has changed."""

    state: State
    previous: State
    reason: str
    time_s: float


@dataclass(frozen=True, slots=True)
class PartialText:
    """What has been understood so far; what follows the stable part may still change."""

    text: str
    stable_chars: int
    """Characters at the start of the text on which all readings agree."""
    time_s: float


@dataclass(frozen=True, slots=True)
class SpeculativeText:
    """What the result will be if nothing follows."""

    text: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The result."""

    text: str
    confidence: float | None
    wake: WakeMark | None
    utterances: tuple[Utterance, ...]
    nbest: tuple[Hypothesis, ...]
    endpoint: Endpoint
    routing: Routing
    speech_end_s: float
    """Where the end-pointer places the end of the speech."""
    time_s: float
    """When it was decided."""
    audio_s: float
    """Length of the audio that was decoded."""


SessionEvent = Woken | Moved | PartialText | SpeculativeText | Finished
