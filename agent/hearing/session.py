"""From a wake word to a result: an explicit state machine, fed frame by frame.

    IDLE         waits for the wake word; neither encoder nor decoder runs
    LISTENING    the wake word was heard, nothing has been said yet
    RECOGNISING  labels come
    ENDING       a speculative end-point was given; the final one follows unless speech resumes

Every state but IDLE has a deadline, and each is a rule of the end-pointer: LISTENING ends with the
start timeout, RECOGNISING and ENDING at the latest with the longest utterance. So every wake word
gets exactly one `Finished`, whatever is said, and the session is idle again.

At a detection the encoder starts afresh half a second before the wake word, from frames that are
still in memory, and runs over everything up to now. What it gives before the word's end only warms
it; from there on it is decoded. A command in the same breath as the wake word loses nothing.

The session has no clock, no thread and no I/O: frames go in, events come out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.hearing.end_pointers import EndPoint, EndPointer, EndRules, Kind, Rule
from agent.hearing.levels import Activity, dbfs
from agent.hearing.ring_buffer import FrameRing
from agent.hearing.session_events import (
    Finished,
    Moved,
    PartialText,
    SessionEvent,
    SpeculativeText,
    State,
    Woken,
)
from agent.hearing.transcript import Timeline, Vocabulary, confidence, nbest, utterance
from agent.hearing.transducer import Path, Token
from agent.hearing.wake_word import Detection
from agent.result import Endpoint, Routing, WakeMark

FRAMES_KEPT = 150
"""Frames in memory, 6 s: the longest context, the longest wake word and the detection's delay."""

READINGS = 5
"""Longest n-best list."""


class FrameEncoder(Protocol):
    """What a session needs of `agent.hearing.encoder.Encoder`."""

    frames: int

    def process(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """A frame's encoding."""

    def reset(self) -> None:
        """Starts afresh."""


class FrameDecoder(Protocol):
    """What a session needs of `transducer.Transducer` or `beam.BeamSearch`."""

    @property
    def tokens(self) -> list[Token]:
        """The labels of what is believed now, in order."""

    @property
    def stable(self) -> int:
        """How many of the tokens will not be taken back."""

    def best(self, count: int) -> list[Path]:
        """The readings, best first, at most so many."""

    def process(self, encoding: NDArray[np.float32], frame: int) -> int:
        """Number of labels emitted in a frame."""

    def finish(self) -> None:
        """No label will follow: what seldom ends an utterance may lose now."""

    def reset(self) -> None:
        """Starts afresh."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What can be configured."""

    rules: EndRules
    context_frames: int = 13
    """Frames before the wake word that warm the encoder."""
    partial_frames: int = 3
    """Least frames between two partial texts."""


_NOTHING: tuple[SessionEvent, ...] = ()


class Session:
    """Runs one command after another.

    Args:
        encoder: Turns frames into encodings.
        decoder: Turns encodings into labels.
        vocabulary: What the labels stand for.
        settings: Context, rules, partials.
        macs_per_frame: Multiplications of the encoder, to be reported; None if not known.

    Attributes:
        state: What it is doing.
        timeline: Turns frames into seconds; its end is set when the audio is over.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        decoder: FrameDecoder,
        vocabulary: Vocabulary,
        settings: SessionSettings,
        macs_per_frame: int | None = None,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._settings = settings
        self._macs_per_frame = macs_per_frame
        self._frames = FrameRing(FRAMES_KEPT)
        self._power = [0.0] * FRAMES_KEPT
        self._quiet = [True] * FRAMES_KEPT
        self._activity = Activity()
        self._end_pointer = EndPointer(settings.rules)
        self._events: list[SessionEvent] = []
        self.state = State.IDLE
        self.timeline = Timeline()
        self._begin(None, 0)

    def process(
        self, frame: NDArray[np.float32], mean_square: float, detection: Detection | None = None
    ) -> Sequence[SessionEvent]:
        """Takes the next frame.

        Args:
            frame: float32 [256].
            mean_square: Of the frame's samples.
            detection: Of the wake word, in this frame.

        Returns:
            What happened, in order; usually nothing.
        """
        number = self._frames.append(frame)
        slot = number % FRAMES_KEPT
        self._power[slot] = mean_square
        self._quiet[slot] = self._activity.quiet(mean_square)
        if detection is not None:
            if self.state is not State.IDLE:
                self._finish(number, Rule.WAKE_WORD, before=detection.start_frame)
            self._wake(detection, number)
        elif self.state is not State.IDLE:
            self._advance(number)
        else:
            return _NOTHING
        events, self._events = self._events, []
        return events

    def open(self) -> Sequence[SessionEvent]:
        """Begins without a wake word, at the next frame; only `close` ends it."""
        self._begin(None, self._frames.next)
        self._move(State.LISTENING, "opened", self._frames.next)
        events, self._events = self._events, []
        return events

    def close(self) -> Sequence[SessionEvent]:
        """The audio is over: an open command gets its result from what there is."""
        if self.state is not State.IDLE:
            self._finish(self._frames.next - 1, Rule.END_OF_AUDIO)
        events, self._events = self._events, []
        return events

    @property
    def frames(self) -> FrameRing:
        """What was heard last."""
        return self._frames

    def take_over(self, previous: Session) -> None:
        """Goes on where another session waits for the wake word: its memory of the sound is kept.

        Args:
            previous: It is idle, and not to be used any more.

        Raises:
            ValueError: It is not idle.
        """
        if previous.state is not State.IDLE:
            raise ValueError("only an idle session can be taken over")
        self.reset()
        self._frames = previous._frames
        self._power, self._quiet = previous._power, previous._quiet
        self._activity = previous._activity
        self.timeline = previous.timeline

    def reset(self, first: int = 0) -> None:
        """Goes back to the state after construction; an open command is dropped.

        Args:
            first: Frames that went by before, so that times go on.
        """
        self._frames.reset()
        self._activity.reset()
        self._events = []
        self.state = State.IDLE
        self.timeline = Timeline(first)
        self._begin(None, 0)

    def _begin(self, detection: Detection | None, first: int) -> None:
        self._encoder.reset()
        self._decoder.reset()
        self._end_pointer.start(first)
        self._detection = detection
        self._first = first
        self._encoded_before = self._encoder.frames
        self._final: EndPoint | None = None
        self._speculative: EndPoint | None = None
        self._shown = ""
        self._shown_frame = first

    def _wake(self, detection: Detection, number: int) -> None:
        self._begin(detection, detection.end_frame)
        word = range(
            max(self._frames.oldest, detection.start_frame), min(detection.end_frame, number + 1)
        )
        powers = [self._power[n % FRAMES_KEPT] for n in word] or [0.0]
        level = dbfs(sum(powers) / len(powers))
        # The voice that said the wake word is the yardstick for what is quiet in the command.
        self._activity.start(max(powers))
        self._events.append(
            Woken(
                detection.word,
                round(detection.score, 4),
                self.timeline.seconds(detection.end_frame),
                None if level is None else round(level, 1),
            )
        )
        self._move(State.LISTENING, "wake_word", number)
        start = detection.start_frame - self._settings.context_frames
        for earlier in range(max(self._frames.oldest, start), number + 1):
            self._advance(earlier)

    def _advance(self, number: int) -> None:
        """Encodes a frame and, from the end of the wake word on, decodes it."""
        if self.state is State.IDLE:
            return
        encoding = self._encoder.process(self._frames[number])
        if number < self._first:
            return
        emitted = self._decoder.process(encoding, number)
        if emitted and self.state is State.LISTENING:
            self._move(State.RECOGNISING, "speech", number)
        if self._final is None:
            quiet = self._quiet[number % FRAMES_KEPT]
            decision = self._end_pointer.step(number, emitted, quiet=quiet)
            if decision is not None:
                self._decide(decision)
        if self.state is State.RECOGNISING and self._detection is not None:
            self._show(number)

    def _decide(self, decision: EndPoint) -> None:
        if decision.kind is Kind.FINAL and decision.rule is not None:
            self._final = decision
            # Without a wake word the end-point is reported and never truncates.
            if self._detection is not None:
                self._finish(decision.frame, decision.rule)
        elif decision.kind is Kind.SPECULATIVE:
            self._speculative = decision
            self._move(State.ENDING, "silence", decision.frame)
            if self._detection is not None:
                text = self._vocabulary.text(self._command(self._decoder.tokens))
                self._events.append(SpeculativeText(text, self._now(decision.frame)))
        elif self.state is State.ENDING:
            self._move(State.RECOGNISING, "speech", decision.frame)

    def _show(self, number: int) -> None:
        if number - self._shown_frame < self._settings.partial_frames:
            return
        tokens = self._decoder.tokens
        text = self._vocabulary.text(self._command(tokens))
        # The wake word's tail may still be on its way; it would be taken back when it is whole.
        waking = self._detection is not None and self._detection.word.startswith(text)
        if text and text != self._shown and not waking:
            self._shown, self._shown_frame = text, number
            stays = self._vocabulary.text(self._command(tokens[: self._decoder.stable]))
            stable = len(stays) if text.startswith(stays) else 0
            self._events.append(PartialText(text, stable, self._now(number)))

    def _command(self, tokens: list[Token], before: int | None = None) -> list[Token]:
        """What belongs to the command: not the wake word, and nothing from a frame on."""
        if before is not None:
            tokens = [token for token in tokens if token.frame < before]
        if self._detection is not None:
            return self._vocabulary.without_phrase(tokens, self._detection.word)
        return tokens

    def _readings(self, before: int | None) -> list[Path]:
        return [
            dataclasses.replace(path, tokens=self._command(path.tokens, before))
            for path in self._decoder.best(READINGS)
        ]

    def _finish(self, number: int, rule: Rule, before: int | None = None) -> None:
        self._decoder.finish()
        readings = self._readings(before)
        final = self._final
        entries = nbest(self._vocabulary, readings, self.timeline)
        seconds = self.timeline.seconds
        decided = rule if final is None or final.rule is None else final.rule
        endpoint = Endpoint(
            speculative_s=None if self._speculative is None else self._now(self._speculative.frame),
            final_s=self._now(number if final is None else final.frame),
            rule=decided.value,
            reset=self._end_pointer.resets > 0,
        )
        routing = Routing(
            slow_frames=self._encoder.frames - self._encoded_before,
            macs_per_frame=self._macs_per_frame,
        )
        heard = self._detection
        wake = None if heard is None else WakeMark(
            time_s=seconds(heard.end_frame), score=round(heard.score, 4)
        )  # fmt: skip
        speech_end = self._end_pointer.speech_end if final is None else final.speech_end
        self._events.append(
            Finished(
                text=entries[0].text,
                confidence=confidence(readings[0].tokens),
                wake=wake,
                utterances=utterance(entries[0]),
                nbest=entries,
                endpoint=endpoint,
                routing=routing,
                speech_end_s=seconds(min(speech_end, number + 1)),
                time_s=self._now(number),
                audio_s=round(seconds(number + 1) - seconds(self._first), 3),
            )
        )
        self._move(State.IDLE, rule.value, number)

    def _move(self, state: State, reason: str, number: int) -> None:
        self._events.append(Moved(state, self.state, reason, self._now(number)))
        self.state = state

    def _now(self, number: int) -> float:
        """The time at which a frame is complete."""
        return self.timeline.seconds(number + 1)
