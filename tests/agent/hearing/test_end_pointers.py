"""The end-pointer against sequences that were worked out by hand.

A frame is a letter: `t` a label is emitted (and it is loud), `l` loud without a label, `.` quiet.
"""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import SessionConfig
from agent.hearing.end_pointers import EndPoint, EndPointer, EndRules, Kind, Rule

_RULES = EndRules(start_timeout=10, trailing_silence=6, no_token=9, max_utterance=40, speculative=3)


def _run(frames: str, start: int = 0, rules: EndRules = _RULES) -> list[EndPoint]:
    pointer = EndPointer(rules)
    pointer.start(start)
    decisions = []
    for number, sign in enumerate(frames, start):
        decision = pointer.step(number, int(sign == "t"), quiet=sign == ".")
        if decision is not None:
            decisions.append(decision)
            if decision.kind is Kind.FINAL:
                break
    return decisions


_CASES = {
    "nothing said": (
        "." * 20,
        # Ten frames, 0 to 9, without a label.
        [EndPoint(Kind.FINAL, 9, 0, Rule.START_TIMEOUT)],
    ),
    "noise and nothing said": (
        "l" * 20,
        [EndPoint(Kind.FINAL, 9, 0, Rule.START_TIMEOUT)],
    ),
    "the usual end": (
        "..tt......",
        # Speech ends before frame 4; the third quiet frame is 6, the sixth is 9.
        [EndPoint(Kind.SPECULATIVE, 6, 4), EndPoint(Kind.FINAL, 9, 4, Rule.TRAILING_SILENCE)],
    ),
    "a last sound without a label": (
        "..ttl......",
        [EndPoint(Kind.SPECULATIVE, 7, 5), EndPoint(Kind.FINAL, 10, 5, Rule.TRAILING_SILENCE)],
    ),
    "a pause within the command": (
        "tt....t......",
        # Speculative in frame 4, taken back by the label in 6; then 7, 8, 9 and 12.
        [
            EndPoint(Kind.SPECULATIVE, 4, 2),
            EndPoint(Kind.RESUMED, 6, 7),
            EndPoint(Kind.SPECULATIVE, 9, 7),
            EndPoint(Kind.FINAL, 12, 7, Rule.TRAILING_SILENCE),
        ],
    ),
    "a television goes on": (
        "tt" + "l" * 20,
        # Label in frame 1, none in the nine frames 2 to 10.
        [EndPoint(Kind.FINAL, 10, 2, Rule.NO_TOKEN)],
    ),
    "noise between quiet frames": (
        "tt" + "..l" * 7,
        [EndPoint(Kind.FINAL, 10, 2, Rule.NO_TOKEN)],
    ),
    "somebody who never stops": (
        "t" * 60,
        [EndPoint(Kind.FINAL, 39, 40, Rule.MAX_UTTERANCE)],
    ),
}


@pytest.mark.parametrize(("frames", "expected"), _CASES.values(), ids=_CASES)
def test_sequences(frames: str, expected: list[EndPoint]):
    assert _run(frames) == expected


@pytest.mark.parametrize(("frames", "expected"), _CASES.values(), ids=_CASES)
def test_only_time_since_the_start_matters(frames: str, expected: list[EndPoint]):
    shifted = [
        dataclasses.replace(point, frame=point.frame + 1000, speech_end=point.speech_end + 1000)
        for point in expected
    ]
    assert _run(frames, start=1000) == shifted


def test_resets_are_counted_and_start_forgets_them():
    pointer = EndPointer(_RULES)
    pointer.start(0)
    for number, sign in enumerate("tt....t"):
        pointer.step(number, int(sign == "t"), quiet=sign == ".")
    assert (pointer.resets, pointer.speech_end) == (1, 7)
    pointer.start(50)
    assert (pointer.resets, pointer.speech_end) == (0, 50)


def test_seconds_become_frames():
    rules = EndRules.from_config(SessionConfig())
    assert rules == EndRules(
        start_timeout=100, trailing_silence=20, no_token=30, max_utterance=375, speculative=10
    )
    # What is no multiple of 40 ms is rounded up, and nothing is shorter than a frame.
    odd = EndRules.from_config(SessionConfig(trailing_silence_seconds=0.1, no_token_seconds=0.13))
    assert (odd.trailing_silence, odd.no_token, odd.speculative) == (3, 4, 1)


@given(st.text("tl.", min_size=45, max_size=60), st.data())
def test_everything_ends_in_time(frames: str, data: st.DataObject):
    number = st.integers(1, 20)
    rules = EndRules(
        start_timeout=data.draw(number),
        trailing_silence=data.draw(number),
        no_token=data.draw(number),
        max_utterance=data.draw(st.integers(1, 40)),
        speculative=data.draw(number),
    )
    decisions = _run(frames, rules=rules)
    final = decisions[-1]
    assert final.kind is Kind.FINAL
    assert final.rule is not None
    assert final.frame < rules.max_utterance
    assert 0 <= final.speech_end <= final.frame + 1
    # Speculative and resumed take turns, beginning with speculative.
    kinds = [decision.kind for decision in decisions[:-1]]
    assert kinds == [Kind.SPECULATIVE, Kind.RESUMED] * (len(kinds) // 2) + [Kind.SPECULATIVE] * (
        len(kinds) % 2
    )
