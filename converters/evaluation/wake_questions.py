"""A second stage is asked at every rise of the score, and then any two limits can be read off.

A wake word asks its second stage in the frame in which the score crosses the threshold, and the
answer depends on that frame. Each rise of the score is the crossing of some thresholds, so what is
left of the events at a threshold and a limit on the agreement is mere counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.hearing.features import FRAME_SECONDS
from agent.hearing.second_stage import SecondStage
from agent.hearing.wake_word import WakeSettings
from converters.evaluation.intervals import Rate, Share, rate, share
from converters.evaluation.wake_excerpts import Excerpt, Excerpts, Rise
from converters.wake.detection import ALLOWED_EARLY_S, ALLOWED_LATE_S


@dataclass(frozen=True)
class Pair:
    """The two limits: of the first stage's score, and of the second's agreement."""

    threshold: float
    limit: float = 0.0
    """0: the second stage is not asked."""


@dataclass(frozen=True)
class Asked:
    """A stream with the answers to all its rises."""

    key: str
    word_end_s: float | None
    rises: tuple[Rise, ...]
    agreements: tuple[float, ...]

    def events(self, pair: Pair, refractory_s: float) -> list[float]:
        """Times of what both stages let pass, by the rules of `WakeWord`.

        Only where the word is said again within the refractory time, and its score stays up beyond
        it, would there be one event more.
        """
        found: list[float] = []
        for rise, agreement in zip(self.rises, self.agreements, strict=True):
            crossing = rise.before < pair.threshold <= rise.score
            # Half a frame, because sums of frames are not exact.
            deaf = bool(found) and rise.time_s < found[-1] + refractory_s - FRAME_SECONDS / 2
            if crossing and not deaf and agreement >= pair.limit:
                found.append(rise.time_s)
        return found

    def heard(self, pair: Pair, refractory_s: float) -> bool:
        """Whether one of them belongs to the wake word, as in `wake_counts.owed`."""
        times, end = self.events(pair, refractory_s), self.word_end_s
        if end is None:
            return bool(times)
        return any(end - ALLOWED_EARLY_S <= time <= end + ALLOWED_LATE_S for time in times)


@dataclass(frozen=True)
class Answers:
    """All answers about a group of streams."""

    name: str
    streams: int
    hours: float
    refractory_s: float
    asked: list[Asked]

    def missed(self, pair: Pair) -> Share:
        """Streams whose wake word the first stage misses or the second rejects."""
        heard = sum(each.heard(pair, self.refractory_s) for each in self.asked)
        return share(self.streams - heard, self.streams)

    def accepted(self, pair: Pair) -> Rate:
        """False accepts, in events an hour."""
        return rate(sum(self._counts(pair)), self.hours)

    def deceived(self, pair: Pair) -> Share:
        """Streams with at least one false accept."""
        return share(sum(count > 0 for count in self._counts(pair)), self.streams)

    def _counts(self, pair: Pair) -> list[int]:
        return [len(each.events(pair, self.refractory_s)) for each in self.asked]


def ask(second_stage: SecondStage, settings: WakeSettings, excerpts: Excerpts) -> Answers:
    """Asks a second stage about every rise, as `WakeWord` would in that frame."""
    asked = [
        Asked(each.key, each.word_end_s, each.rises, _agreements(second_stage, settings, each))
        for each in excerpts.found
    ]
    refractory_s = settings.refractory_frames * FRAME_SECONDS
    return Answers(excerpts.name, excerpts.streams, excerpts.hours, refractory_s, asked)


def _agreements(
    second_stage: SecondStage, settings: WakeSettings, excerpt: Excerpt
) -> tuple[float, ...]:
    second_stage.reset()
    heard = excerpt.first
    found = []
    for rise in excerpt.rises:
        for frame in excerpt.frames[heard - excerpt.first : rise.frame + 1 - excerpt.first]:
            second_stage.hear(frame)
        heard = rise.frame + 1
        length = settings.latency_frames + settings.length_frames
        found.append(second_stage.agreement(min(heard, length)))
    return tuple(found)


def together(name: str, groups: Sequence[Answers]) -> Answers:
    """Several groups as one.

    Args:
        name: of all.
        groups: at least one.
    """
    return Answers(
        name,
        sum(each.streams for each in groups),
        sum(each.hours for each in groups),
        groups[0].refractory_s,
        [asked for each in groups for asked in each.asked],
    )
