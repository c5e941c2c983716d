"""The verdict: pure, so chance can be tried a thousand times."""

from __future__ import annotations

import dataclasses
import random

import pytest

from agent.bundle.schema import TrialEntry
from agent.update.release import TrialLimits
from agent.update.selftest import Clip, Measured, word_errors
from agent.update.verdict import objection, worse_by

SIGNED = TrialLimits()
OWN = TrialEntry()
WORDS, CLIPS, TRIALS = 6, 48, 1000


def _measured(errors: list[int], **changes: object) -> Measured:
    clips = tuple(Clip(words=WORDS, errors=count) for count in errors)
    base = Measured(clips=clips, cpu_s=1.0, audio_s=100.0, peak_mb=60)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def _refused_share(*, lost: float, won: float, base_wrong: float, seed: int = 1) -> float:
    """How often a release is refused that gets other words wrong than the bundle in use.

    Args:
        lost: Share of the words that were right and are wrong now.
        won: Share of the words that were wrong and are right now.
        base_wrong: Share of words that the bundle in use gets wrong.
        seed: Of chance.
    """
    chance = random.Random(seed)
    refused = 0
    for _ in range(TRIALS):
        before, after = [], []
        for _ in range(CLIPS):
            wrong = [chance.random() < base_wrong for _ in range(WORDS)]
            now = [chance.random() >= won if bad else chance.random() < lost for bad in wrong]
            before.append(sum(wrong))
            after.append(sum(now))
        reason = objection(_measured(after), _measured(before), signed=SIGNED, own=OWN)
        refused += reason is not None
    return refused / TRIALS


def test_one_that_is_just_as_good_but_different_is_seldom_refused() -> None:
    """One of twenty by construction: chance alone, in one direction."""
    assert _refused_share(lost=0.05, won=0.45, base_wrong=0.1) < 0.07
    assert _refused_share(lost=0.0, won=0.0, base_wrong=0.1) == 0.0


def test_one_that_is_ten_in_a_hundred_words_worse_is_nearly_always_refused() -> None:
    assert _refused_share(lost=0.11, won=0.0, base_wrong=0.1) > 0.99
    assert _refused_share(lost=0.15, won=0.35, base_wrong=0.1) > 0.9


def test_one_that_is_two_in_a_hundred_words_worse_often_passes() -> None:
    """So few recordings cannot tell; the limits that were signed and the probation are for that."""
    share = _refused_share(lost=0.03, won=0.1, base_wrong=0.1)
    assert 0.2 < share < 0.9


def test_better_is_never_refused() -> None:
    assert _refused_share(lost=0.0, won=0.5, base_wrong=0.4) == 0.0


def test_a_difference_of_one_word_means_nothing() -> None:
    base, new = _measured([0] * 8), _measured([1] + [0] * 7)
    assert worse_by(new, base) == (1, pytest.approx(1.645))
    assert objection(new, base, signed=SIGNED, own=OWN) is None


@pytest.mark.parametrize(
    ("new", "signed", "own", "reason"),
    [
        (_measured([0], peak_mb=257), SIGNED, OWN, "it needs 257 MB"),
        (
            _measured([3, 3]),
            dataclasses.replace(SIGNED, word_error_permille=499),
            OWN,
            "6 of 12 words",
        ),
        (_measured([3, 3]), SIGNED, TrialEntry(word_errors=400), "400 of 1000"),
        (_measured([0, 0], cpu_s=1.6), SIGNED, OWN, "it computes 1.60 s"),
        (
            _measured([0, 0], clips=(Clip(words=6, errors=0, missed=True),) * 2),
            SIGNED,
            TrialEntry(wake_misses=900),
            "2 wake words are missed, and 900",
        ),
        (
            _measured([0, 0], clips=(Clip(words=6, errors=0, missed=True),) * 2),
            SIGNED,
            OWN,
            "2 wake words are missed that the bundle in use hears",
        ),
    ],
    ids=["memory", "signed errors", "own errors", "latency", "own wake words", "wake words"],
)
def test_each_limit(new: Measured, signed: TrialLimits, own: TrialEntry, reason: str) -> None:
    base = _measured([0] * len(new.clips))
    if reason.startswith(("6 of", "400")):
        base = new
    found = objection(new, base, signed=signed, own=own)
    assert found is not None
    assert reason in found


def test_a_measure_of_words() -> None:
    assert word_errors("turn on the light".split(), "turn on light".split()) == 1
    assert word_errors("turn on".split(), "turn it on now".split()) == 2
    assert word_errors([], ["noise"]) == 1
    assert word_errors("a b c".split(), "x b y".split()) == 2
    assert word_errors(["a"], []) == 1
