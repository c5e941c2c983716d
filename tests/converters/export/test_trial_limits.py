"""Limits of a trial, by hand."""

from __future__ import annotations

from agent.update.release import TrialLimits
from agent.update.selftest import Clip, Measured
from agent.update.verdict import objection
from converters.export.trial_limits import limits_of


def _measured(*clips: Clip) -> Measured:
    return Measured(clips=clips, cpu_s=1.0, audio_s=10.0, peak_mb=60)


def test_the_limits_are_what_was_measured_and_some_room():
    # 3 of 40 words are 75 permille, a quarter more is 93.75; one of four wake words is 250.
    measured = _measured(
        Clip(words=10, errors=3), Clip(words=10, errors=0, missed=True),
        Clip(words=10, errors=0), Clip(words=10, errors=0),
    )  # fmt: skip
    limits = limits_of(measured)
    assert (limits.word_errors, limits.wake_misses) == (114, 333)
    assert objection(measured, None, signed=TrialLimits(), own=limits) is None


def test_a_release_that_understands_nothing_is_refused_without_any_comparison():
    limits = limits_of(_measured(Clip(words=10, errors=1), Clip(words=10, errors=2)))
    deaf = _measured(Clip(words=10, errors=10), Clip(words=10, errors=10))
    refused = objection(deaf, None, signed=TrialLimits(), own=limits)
    assert refused is not None
    assert "20 of 20 words" in refused


def test_no_more_than_all_wake_words_can_be_missed():
    limits = limits_of(_measured(Clip(words=1, errors=1, missed=True)))
    assert limits.wake_misses == 1000
