"""Decides when a command has ended: named rules, frame by frame, without clock or I/O.

    start_timeout     nobody has said anything since the wake word
    trailing_silence  no new label, and quiet, for a while: the usual end
    no_token          no new label for a longer while, however loud it is: a television goes on
    max_utterance     the longest command; always holds
    wake_word         the wake word was said again
    end_of_audio      the recording is over

Before the final end-point there is a speculative one, after half the trailing silence: whoever
wants to be quick may act on it. If another label follows, it is taken back, and `reset` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from agent.config import SessionConfig
from agent.hearing.features import FRAME_SECONDS


class Rule(Enum):
    """Why a command ended."""

    START_TIMEOUT = "start_timeout"
    TRAILING_SILENCE = "trailing_silence"
    NO_TOKEN = "no_token"  # noqa: S105 - a rule, not a password
    MAX_UTTERANCE = "max_utterance"
    WAKE_WORD = "wake_word"
    END_OF_AUDIO = "end_of_audio"


class Kind(Enum):
    """What an end-point means."""

    SPECULATIVE = "speculative"
    RESUMED = "resumed"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class EndRules:
    """Lengths of the rules, in frames of 40 ms."""

    start_timeout: int = 100
    trailing_silence: int = 20
    no_token: int = 30
    max_utterance: int = 375
    speculative: int = 10

    @classmethod
    def from_config(cls, config: SessionConfig) -> EndRules:
        """The rules as configured in seconds; the speculative end comes half-way to the final."""
        trailing = _frames(config.trailing_silence_seconds)
        return cls(
            start_timeout=_frames(config.start_timeout_seconds),
            trailing_silence=trailing,
            no_token=_frames(config.no_token_seconds),
            max_utterance=_frames(config.max_utterance_seconds),
            speculative=max(1, trailing // 2),
        )


@dataclass(frozen=True, slots=True)
class EndPoint:
    """The end-pointer's decision in a frame."""

    kind: Kind
    frame: int
    """The frame in which it was decided."""
    speech_end: int
    """First frame after the speech."""
    rule: Rule | None = None
    """Of a final end-point."""


class EndPointer:
    """Watches one command.

    Args:
        rules: When it ends.

    Attributes:
        resets: How often a speculative end was taken back.
    """

    def __init__(self, rules: EndRules) -> None:
        self.rules = rules
        self._start = 0
        self._last_token: int | None = None
        self._last_loud = -1
        self._speculated = False
        self.resets = 0

    def start(self, frame: int) -> None:
        """A command begins with this frame."""
        self._start = frame
        self._last_token = None
        self._last_loud = frame - 1
        self._speculated = False
        self.resets = 0

    @property
    def speech_end(self) -> int:
        """First frame after the speech so far; the start if nothing was said."""
        if self._last_token is None:
            return self._start
        return max(self._last_token, self._last_loud) + 1

    def step(self, frame: int, tokens: int, *, quiet: bool) -> EndPoint | None:
        """Looks at the next frame.

        Args:
            frame: Its number; one more than the last one's.
            tokens: Labels emitted in it.
            quiet: It holds no sound worth waiting for.

        Returns:
            A decision, or None; at most one a frame. After a final one, only `start` makes sense.
        """
        if not quiet:
            self._last_loud = frame
        if tokens:
            self._last_token = frame
        length = frame + 1 - self._start
        if length >= self.rules.max_utterance:
            return self._final(frame, Rule.MAX_UTTERANCE)
        if self._last_token is None:
            if length >= self.rules.start_timeout:
                return self._final(frame, Rule.START_TIMEOUT)
            return None
        if tokens and self._speculated:
            self._speculated = False
            self.resets += 1
            return EndPoint(Kind.RESUMED, frame, self.speech_end)
        silence = frame + 1 - self.speech_end
        if silence >= self.rules.trailing_silence:
            return self._final(frame, Rule.TRAILING_SILENCE)
        if frame - self._last_token >= self.rules.no_token:
            # What was loud since then was no speech that the decoder understood.
            return EndPoint(Kind.FINAL, frame, self._last_token + 1, Rule.NO_TOKEN)
        if silence >= self.rules.speculative and not self._speculated:
            self._speculated = True
            return EndPoint(Kind.SPECULATIVE, frame, self.speech_end)
        return None

    def _final(self, frame: int, rule: Rule) -> EndPoint:
        return EndPoint(Kind.FINAL, frame, self.speech_end, rule)


def _frames(seconds: float) -> int:
    # 0.8 / 0.04 is 20.000000000000004 on some days: only a real fraction is rounded up.
    return max(1, math.ceil(seconds / FRAME_SECONDS - 1e-6))
