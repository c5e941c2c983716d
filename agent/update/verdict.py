"""Whether a release has passed its trial. Pure: two measurements and the limits go in.

A release must

* understand its self-test: word errors and missed wake words within the limits that were signed and
  those of its own manifest;
* understand it no worse than the bundle in use understands the same recordings, as far as so few
  recordings can tell: the two are compared recording by recording, and a difference that chance
  gives to an equally good release in fewer than one of twenty trials is too much;
* take no longer than the signed multiple of what the bundle in use takes on this board;
* stay within its memory.

The comparison in pairs is what finds a release that is a little worse: most of what makes
recordings hard is the same for both, and falls out.
"""

from __future__ import annotations

import math

from agent.bundle.schema import TrialEntry
from agent.update.release import TrialLimits
from agent.update.selftest import Measured

_Z = 1.645
"""Standard deviations that chance exceeds in one of twenty, in one direction."""
_ALWAYS_ALLOWED = 1
"""More word errors, or more missed wake words, than the bundle in use: too few to mean anything."""


def worse_by(new: Measured, base: Measured) -> tuple[int, float]:
    """Compares recording by recording.

    Args:
        new: The release on trial.
        base: The bundle in use, on the same recordings.

    Returns:
        How many more word errors it makes, and how many more are allowed.
    """
    differences = [n.errors - b.errors for n, b in zip(new.clips, base.clips, strict=True)]
    # Without any difference in quality each recording's difference is as likely up as down.
    spread = math.sqrt(sum(difference**2 for difference in differences))
    return sum(differences), max(_Z * spread, _ALWAYS_ALLOWED)


def objection(
    new: Measured, base: Measured | None, *, signed: TrialLimits, own: TrialEntry
) -> str | None:
    """Judges a trial.

    Args:
        new: The release on trial.
        base: The bundle in use on the same recordings; None if it could not be measured.
        signed: Limits in the metadata.
        own: Limits in the release's manifest.

    Returns:
        Why it is refused, or None.
    """
    if new.peak_mb > signed.memory_mb:
        return f"it needs {new.peak_mb} MB of memory, and {signed.memory_mb} MB are allowed"
    return _mistaken(new, signed, own) or (_compared(new, base, signed) if base else None)


def _mistaken(new: Measured, signed: TrialLimits, own: TrialEntry) -> str | None:
    allowed = signed.word_error_permille
    if own.word_errors is not None:
        allowed = min(allowed, own.word_errors)
    if new.errors * 1000 > allowed * new.words:
        return (
            f"{new.errors} of {new.words} words of its self-test are wrong, and {allowed} of 1000"
            " are allowed"
        )
    missed = sum(clip.missed for clip in new.clips)
    if own.wake_misses is not None and missed * 1000 > own.wake_misses * len(new.clips):
        return f"{missed} wake words are missed, and {own.wake_misses} of 1000 are allowed"
    return None


def _compared(new: Measured, base: Measured, signed: TrialLimits) -> str | None:
    more, allowed = worse_by(new, base)
    if more > allowed:
        return (
            f"it makes {new.errors} word errors where the bundle in use makes {base.errors}, and"
            f" {more} more are beyond chance ({allowed:.1f})"
        )
    missed = sum(clip.missed for clip in new.clips) - sum(clip.missed for clip in base.clips)
    if missed > _ALWAYS_ALLOWED:
        return f"{missed} wake words are missed that the bundle in use hears"
    if too_slow(new, base, signed):
        return (
            f"it computes {new.cpu_s:.2f} s where the bundle in use computes {base.cpu_s:.2f} s,"
            f" and {signed.latency_permille} of 1000 are allowed"
        )
    return None


def too_slow(new: Measured, base: Measured, signed: TrialLimits) -> bool:
    """True if a release computes longer than the signed multiple of the bundle in use."""
    return new.cpu_s * 1000 > signed.latency_permille * base.cpu_s
