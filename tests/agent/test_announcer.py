"""Session events become messages: ids, clocks, latency."""

from __future__ import annotations

import pytest

from agent.announcer import Announcer
from agent.events import Final, Ids, Partial, Speculative, Wake, decode, encode
from agent.events import State as StateMessage
from agent.hearing.session_events import (
    Finished,
    Moved,
    PartialText,
    SpeculativeText,
    State,
    Woken,
)
from agent.result import Endpoint, Hypothesis, Routing, WakeMark

_WOKEN = Woken("computer", 0.93, 1.2, -31.5)
_FINISHED = Finished(
    text="lights on",
    confidence=0.8,
    wake=WakeMark(time_s=1.2, score=0.93),
    utterances=(),
    nbest=(Hypothesis(text="lights on", log_prob=-2.5),),
    endpoint=Endpoint(speculative_s=2.4, final_s=2.8, rule="trailing_silence", reset=False),
    routing=Routing(slow_frames=60),
    speech_end_s=2.0,
    time_s=2.8,
    audio_s=1.6,
)


def test_a_session_from_wake_word_to_result():
    announcer = Announcer(Ids("boot"))
    messages = [
        announcer.message(event, age_s=0.05)
        for event in (
            _WOKEN,
            Moved(State.LISTENING, State.IDLE, "wake_word", 1.3),
            PartialText("lights", 6, 1.9),
            SpeculativeText("lights on", 2.4),
            _FINISHED,
        )
    ]
    wake, state, partial, speculative, final = messages
    assert isinstance(wake, Wake)
    assert (wake.session, wake.id) == ("boot-1", "boot-2")
    assert (wake.word, wake.score, wake.level_dbfs) == ("computer", 0.93, -31.5)
    assert isinstance(state, StateMessage)
    assert (state.session, state.state, state.previous) == ("boot-1", "listening", "idle")
    assert isinstance(partial, Partial)
    assert (partial.text, partial.stable_chars, partial.session) == ("lights", 6, "boot-1")
    assert isinstance(speculative, Speculative)
    assert (speculative.id, speculative.text) == ("boot-3", "lights on")
    assert isinstance(final, Final)
    assert (final.id, final.session, final.text) == ("boot-4", "boot-1", "lights on")
    assert (final.confidence, final.wake, final.endpoint) == (
        0.8,
        _FINISHED.wake,
        _FINISHED.endpoint,
    )
    # Decided 0.8 s after the end of the speech, and told 0.05 s after the last sound had come in.
    assert final.latency_ms == pytest.approx(850.0)
    assert final.timing is not None
    assert final.timing.audio_s == 1.6
    assert final.timing.compute_s is not None
    assert final.timing.compute_s >= 0
    assert announcer.sessions == 1
    # All of it fits through the socket.
    for message in messages:
        assert decode(encode(message)) == message


def test_every_session_has_its_own_id():
    announcer = Announcer(Ids("boot"))
    first, second = announcer.message(_WOKEN, 0.0), announcer.message(_WOKEN, 0.0)
    assert isinstance(first, Wake)
    assert isinstance(second, Wake)
    assert first.session != second.session
    assert announcer.sessions == 2
