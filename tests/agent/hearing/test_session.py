"""The state machine: what happens when, and what must hold whatever happens.

Encoder and decoder are played from a script: the first number of a frame says which label is
emitted in it (0: none). So a test writes down what is said frame by frame and reads off what comes
out.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.hearing.end_pointers import EndRules
from agent.hearing.features import FRAME_DIM
from agent.hearing.session import FRAMES_KEPT, Session, SessionSettings
from agent.hearing.session_events import (
    Finished,
    Moved,
    PartialText,
    SessionEvent,
    SpeculativeText,
    State,
    Woken,
)
from agent.hearing.transcript import Vocabulary
from agent.hearing.transducer import Path, Token
from agent.hearing.wake_word import Detection

_LETTERS = "_ abcdefg"  # the blank, the space, and letters
_RULES = EndRules(start_timeout=12, trailing_silence=6, no_token=9, max_utterance=40, speculative=3)
_CONTEXT = 5
_LOUD, _QUIET = 0.01, 1e-7


class ScriptedEncoder:
    """Hands frames on and remembers which ones it saw since its last reset."""

    def __init__(self) -> None:
        self.frames = 0
        self.seen: list[int] = []

    def process(self, frame: np.ndarray) -> np.ndarray:
        self.frames += 1
        self.seen.append(int(frame[1]))
        return frame

    def reset(self) -> None:
        self.seen = []


class ScriptedDecoder:
    """Emits the label that stands in the frame."""

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.log_prob = 0.0

    def process(self, encoding: np.ndarray, frame: int) -> int:
        label = int(encoding[0])
        if label:
            self.tokens.append(Token(label, frame, -0.1))
        return int(label > 0)

    @property
    def stable(self) -> int:
        return len(self.tokens)

    def best(self, count: int) -> list[Path]:
        return [Path(self.tokens, self.log_prob, self.log_prob)]

    def finish(self) -> None:
        pass

    def reset(self) -> None:
        self.tokens = []


class Stage:
    """A session and the time that goes by."""

    def __init__(self) -> None:
        self.encoder = ScriptedEncoder()
        settings = SessionSettings(rules=_RULES, context_frames=_CONTEXT, partial_frames=1)
        vocabulary = Vocabulary(["<blank>", *_LETTERS[1:]])
        self.session = Session(self.encoder, ScriptedDecoder(), vocabulary, settings)
        self.now = 0
        self.events: list[SessionEvent] = []

    def say(self, text: str, wake: Detection | None = None) -> list[SessionEvent]:
        """One frame for each sign: `_` nothing, anything else is a label."""
        events: list[SessionEvent] = []
        for sign in text:
            frame = np.zeros(FRAME_DIM, np.float32)
            frame[:2] = _LETTERS.index(sign), self.now
            self.now += 1
            power = _QUIET if sign == "_" else _LOUD
            events += self.session.process(frame, power, wake)
            wake = None
        self.events += events
        return events

    def wake(self, sign: str = "_", length: int = 4, latency: int = 2) -> list[SessionEvent]:
        """The wake word is detected in this frame."""
        end = max(0, self.now + 1 - latency)
        return self.say(sign, Detection("cab", 0.9, max(0, end - length), end))


def _kinds(events: list[SessionEvent]) -> list[str]:
    return [
        event.state.value if isinstance(event, Moved) else type(event).__name__ for event in events
    ]


def _finals(events: list[SessionEvent]) -> list[Finished]:
    return [event for event in events if isinstance(event, Finished)]


def test_a_command_from_wake_word_to_result():
    stage = Stage()
    stage.say("_" * 20)
    assert _kinds(stage.wake()) == ["Woken", "listening"]
    assert _kinds(stage.say("_a")) == ["recognising", "PartialText"]
    assert _kinds(stage.say("b___")) == ["PartialText", "ending", "SpeculativeText"]
    events = stage.say("___")
    assert _kinds(events) == ["Finished", "idle"]
    (final,) = _finals(events)
    assert (final.text, final.endpoint.rule, final.endpoint.reset) == (
        "ab",
        "trailing_silence",
        False,
    )
    # Detected in frame 20, so the word ended before frame 19: at 0.76 s.
    assert final.wake is not None
    assert (final.wake.time_s, final.wake.score) == (0.76, 0.9)
    # "b" was said in frame 23; the third quiet frame is 26 (complete at 1.08 s), the sixth is 29.
    assert final.speech_end_s == pytest.approx(24 * 0.04)
    assert final.endpoint.speculative_s == pytest.approx(27 * 0.04)
    assert final.endpoint.final_s == final.time_s == pytest.approx(30 * 0.04)
    assert final.audio_s == pytest.approx((30 - 19) * 0.04)
    assert stage.session.state is State.IDLE


def test_idle_never_runs_the_encoder():
    stage = Stage()
    stage.say("_ab" * 100)
    assert stage.encoder.frames == 0
    stage.wake()
    assert stage.encoder.frames > 0
    stage.say("a" + "_" * 10)
    after = stage.encoder.frames
    stage.say("_ab" * 100)
    assert stage.encoder.frames == after


def test_the_encoder_starts_before_the_word_and_sees_every_frame_once():
    stage = Stage()
    stage.say("_" * 30)
    stage.wake(length=4, latency=2)
    # Detected in frame 30: the word lies in the frames 25 to 28, the context begins at frame 20.
    assert stage.encoder.seen == list(range(20, 31))
    stage.say("a__")
    assert stage.encoder.seen == list(range(20, 34))


def test_labels_before_the_end_of_the_word_are_not_decoded():
    stage = Stage()
    stage.say("_" * 20 + "defg")
    # Detected in frame 24, the word ends before frame 23: of "defg" only "g" was said after it.
    stage.wake(latency=2)
    stage.say("_" * 10)
    assert _finals(stage.events)[0].text == "g"


def test_a_command_in_the_same_breath_is_whole():
    stage = Stage()
    stage.say("_" * 20 + "defg")
    # A slow detection, in frame 24, of a word that ended before frame 20.
    events = stage.wake(latency=5)
    # The command is already there when the session begins.
    assert _kinds(events)[:3] == ["Woken", "listening", "recognising"]
    stage.say("_" * 10)
    assert _finals(stage.events)[0].text == "defg"


def test_the_wake_word_is_never_part_of_the_text():
    stage = Stage()
    stage.wake()
    stage.say("cab de______")
    (final,) = _finals(stage.events)
    assert final.text == "de"
    shown = [e.text for e in stage.events if isinstance(e, (PartialText, SpeculativeText))]
    assert shown
    # Not even its first letters are shown while it is being written.
    assert not [text for text in shown if text.startswith("c")]


def test_nothing_said_ends_with_the_start_timeout():
    stage = Stage()
    stage.say("_" * 10)
    stage.wake()
    stage.say("_" * 30)
    (final,) = _finals(stage.events)
    assert (final.text, final.confidence, final.utterances) == ("", None, ())
    assert final.endpoint.rule == "start_timeout"
    # The word ended before frame 9; twelve frames later is the end of frame 20.
    assert final.time_s == pytest.approx(21 * 0.04)


def test_a_pause_takes_the_speculative_end_back():
    stage = Stage()
    stage.wake()
    assert "ending" in _kinds(stage.say("ab___"))
    assert "recognising" in _kinds(stage.say("_ c"))
    stage.say("_" * 6)
    (final,) = _finals(stage.events)
    assert (final.text, final.endpoint.reset) == ("ab c", True)
    # The speculative end that is reported is the last one.
    assert final.endpoint.speculative_s == pytest.approx(final.time_s - 3 * 0.04)


def test_the_wake_word_again_ends_the_command_and_begins_another():
    stage = Stage()
    stage.wake()
    stage.say("de" + "gggg")
    # The second word lies in the last four frames, which the first command then does not hold.
    events = stage.wake(sign="_", length=4, latency=1)
    assert _kinds(events)[:4] == ["Finished", "idle", "Woken", "listening"]
    stage.say("f______")
    first, second = _finals(stage.events)
    assert (first.text, first.endpoint.rule) == ("de", "wake_word")
    assert (second.text, second.endpoint.rule) == ("f", "trailing_silence")


def test_the_end_of_the_audio_gives_what_there_is():
    stage = Stage()
    stage.wake()
    stage.say("de")
    stage.session.timeline.end_s = 0.1
    (final,) = _finals(list(stage.session.close()))
    assert (final.text, final.endpoint.rule) == ("de", "end_of_audio")
    assert final.time_s == final.endpoint.final_s == 0.1
    assert stage.session.close() == []


def test_without_a_wake_word_the_end_point_is_reported_and_never_truncates():
    stage = Stage()
    assert _kinds(list(stage.session.open())) == ["listening"]
    stage.say("a" + "_" * 100 + "b" + "_" * 100)
    assert not _finals(stage.events)
    (final,) = _finals(list(stage.session.close()))
    assert (final.text, final.wake) == ("ab", None)
    assert (final.endpoint.rule, final.endpoint.final_s) == ("trailing_silence", 7 * 0.04)
    assert final.routing.slow_frames == 202


def test_the_level_of_the_wake_word_is_told():
    stage = Stage()
    stage.say("_" * 20 + "aaaa_")
    # Four frames of 0.01 are the word: -20 dBFS.
    events = stage.wake(length=4, latency=2)
    (woken,) = [event for event in events if isinstance(event, Woken)]
    assert woken.level_dbfs == pytest.approx(-20.0)


def test_reset_goes_back_to_the_state_after_construction():
    def play(stage: Stage) -> list[SessionEvent]:
        stage.now, stage.events = 0, []
        stage.say("_" * 10)
        stage.wake()
        stage.say("ab__c______")
        return list(stage.events)

    stage = Stage()
    first = play(stage)
    stage.wake()
    stage.say("ab")
    stage.session.reset()
    assert stage.session.state is State.IDLE
    assert play(stage) == first


def test_a_wake_word_at_the_very_beginning():
    stage = Stage()
    stage.wake(length=50, latency=1)
    stage.say("d______")
    assert _finals(stage.events)[0].text == "d"


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 10))
def test_any_word_anywhere_is_followed_by_its_command(before: int, length: int, latency: int):
    stage = Stage()
    stage.say("_" * before)
    stage.wake(length=length, latency=latency)
    assert len(stage.encoder.seen) <= FRAMES_KEPT
    stage.say("d______")
    (final,) = _finals(stage.events)
    assert final.text == "d"


class AnythingGoes(RuleBasedStateMachine):
    """Any sequence of frames and wake words."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.wakes = 0
        self.last_wake = 0

    @rule(text=st.text(_LETTERS, min_size=1, max_size=20))
    def frames(self, text: str) -> None:
        self.stage.say(text)

    @rule(length=st.integers(1, 60), latency=st.integers(0, 10), sign=st.sampled_from(_LETTERS))
    def wake_word(self, length: int, latency: int, sign: str) -> None:
        self.wakes += 1
        self.last_wake = self.stage.now
        self.stage.wake(sign, length=length, latency=latency)

    @rule()
    def silence_for_as_long_as_anything_may_last(self) -> None:
        self.stage.say("_" * _RULES.max_utterance)
        assert self.stage.session.state is State.IDLE

    @invariant()
    def every_wake_word_has_one_result_or_is_under_way(self) -> None:
        finals = len(_finals(self.stage.events))
        under_way = self.stage.session.state is not State.IDLE
        assert finals + under_way == self.wakes
        assert len([e for e in self.stage.events if isinstance(e, Woken)]) == self.wakes

    @invariant()
    def no_state_outlives_its_deadline(self) -> None:
        age = self.stage.now - self.last_wake
        if age > _RULES.max_utterance:
            assert self.stage.session.state is State.IDLE
        elif age > _RULES.start_timeout:
            assert self.stage.session.state is not State.LISTENING

    @invariant()
    def states_follow_one_another(self) -> None:
        moves = [event for event in self.stage.events if isinstance(event, Moved)]
        states = [State.IDLE, *(move.state for move in moves)]
        assert [move.previous for move in moves] == states[:-1]
        assert states[-1] is self.stage.session.state
        allowed = {
            (State.IDLE, State.LISTENING),
            (State.LISTENING, State.RECOGNISING),
            (State.RECOGNISING, State.ENDING),
            (State.ENDING, State.RECOGNISING),
            *((state, State.IDLE) for state in State if state is not State.IDLE),
        }
        assert set(itertools.pairwise(states)) <= allowed


TestAnythingGoes = AnythingGoes.TestCase
