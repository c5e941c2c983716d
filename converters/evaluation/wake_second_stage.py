"""What the doubts of the recogniser save and cost: the second stage of a wake word, measured.

Two limits make a pair: of the first stage's score and of the second's agreement. Pairs are chosen
by dev words, real recordings that are not of the test, and pools of voices that are not of the
test; what is of the test is only counted. What the first stage hears can be kept (`wake_excerpts`),
so that another recogniser is asked about the same sound within a minute or two.

As negatives also serve recordings that the first stage was trained on: they deceive it at lower
thresholds only, and the recogniser never heard them as anything but speech.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from converters.evaluation.intervals import Rate, Share
from converters.evaluation.wake_audio import Sources, never_trained
from converters.evaluation.wake_questions import Answers, Pair, together
from converters.wake.pools import pool_split
from converters.wake.recordings import Recording, Role

THRESHOLDS = tuple(round(0.3 + 0.05 * k, 2) for k in range(13))
"""Of the first stage, to choose from: 0.3 to 0.9."""
MOST_MORE_MISSES = 0.005
"""Share of the dev words that the second stage may cost at the same threshold."""

_COLUMNS: tuple[tuple[str, str, Callable[[Answers, Pair], Share | Rate]], ...] = (
    ("clean", r"real \w+: clean", Answers.missed),
    ("clean + command", r"real \w+ \+ command: clean", Answers.missed),
    ("5 dB", r"real \w+: 5 dB", Answers.missed),
    ("5 dB + command", r"real \w+ \+ command: 5 dB", Answers.missed),
    ("all", r"real \w+( \+ command)?: .*", Answers.missed),
    ("(a) real speech", r"\(a\).*", Answers.accepted),
    ("(b) speech", r"\(b\).*", Answers.accepted),
    ("(c) near misses", r"\(c\).*", Answers.deceived),
    ("(d) noise, music", r"\(d\).*", Answers.accepted),
)
"""Title, groups that are counted in it, and how."""
_WORDS = "all"
_KINDS = ("(a) real speech", "(b) speech", "(c) near misses", "(d) noise, music")


class Study:
    """All answers about one part of the sound, dev or test.

    Args:
        answers: by group; those of one column are counted together.
    """

    def __init__(self, answers: Sequence[Answers]) -> None:
        self.answers = list(answers)
        self._columns: dict[str, tuple[Answers, Callable[[Answers, Pair], Share | Rate]]] = {}
        for title, pattern, count in _COLUMNS:
            groups = [each for each in answers if re.fullmatch(pattern, each.name)]
            if groups:
                self._columns[title] = together(title, groups), count

    def counts(self, pair: Pair) -> dict[str, Share | Rate]:
        """Misses and false accepts at a pair, by column."""
        return {title: count(group, pair) for title, (group, count) in self._columns.items()}

    def missed(self, pair: Pair) -> int:
        """Words that are missed, in all conditions."""
        return self._columns[_WORDS][0].missed(pair).k

    def accepted(self, pair: Pair) -> list[int]:
        """False accepts of each kind that there is."""
        found = []
        for title in _KINDS:
            if title in self._columns:
                group, count = self._columns[title]
                counted = count(group, pair)
                found.append(counted.k if isinstance(counted, Share) else counted.events)
        return found

    def limits(self, threshold: float) -> list[float]:
        """Every limit that rejects other events than the one before, at a threshold; 0 first."""
        found = {0.0}
        for each in (asked for group in self.answers for asked in group.asked):
            for rise, agreement in zip(each.rises, each.agreements, strict=True):
                if rise.before < threshold <= rise.score:
                    # A little above it: an event at the limit passes.
                    found.add(float(np.nextafter(agreement, 1.0)))
        return sorted(found)


@dataclass(frozen=True)
class Chosen:
    """What follows from the dev part."""

    doubted: list[Pair]
    """For each threshold the highest limit that costs at most `MOST_MORE_MISSES` of the words."""
    best: Pair
    """Of all pairs that accept no more of any kind than the present threshold alone, the one that
    misses the fewest words; of equal ones the one that accepts the fewest."""


def choose(dev: Study, present: float) -> Chosen:
    """Chooses pairs.

    Args:
        dev: what may choose; with words.
        present: the threshold to compare with.
    """
    words = dev.counts(Pair(present))[_WORDS]
    assert isinstance(words, Share)
    allowed = int(MOST_MORE_MISSES * words.n)
    bar = dev.accepted(Pair(present))
    doubted = []
    candidates = [Pair(present)]
    for threshold in sorted({*THRESHOLDS, present}):
        pairs = [Pair(threshold, limit) for limit in dev.limits(threshold)]
        most = dev.missed(pairs[0]) + allowed
        doubted.append(_last(pairs, partial(_misses_at_most, dev, most)))
        # Misses grow with the limit and false accepts fall: the first that accepts no more is it.
        quiet = _last(pairs[::-1], lambda pair: _no_more(dev.accepted(pair), bar))
        if _no_more(dev.accepted(quiet), bar):
            candidates.append(quiet)
    best = min(candidates, key=lambda pair: (dev.missed(pair), sum(dev.accepted(pair))))
    return Chosen(doubted, best)


def _misses_at_most(dev: Study, most: int, pair: Pair) -> bool:
    return dev.missed(pair) <= most


def _no_more(counts: Sequence[int], bar: Sequence[int]) -> bool:
    return all(count <= most for count, most in zip(counts, bar, strict=True))


def _last(pairs: Sequence[Pair], holds: Callable[[Pair], bool]) -> Pair:
    """The last pair for which it holds, where it holds for all before; the first if for none."""
    low, high = 0, len(pairs) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if holds(pairs[middle]):
            low = middle
        else:
            high = middle - 1
    return pairs[low]


def seen_or_dev(recordings: Sequence[Recording]) -> list[Recording]:
    """Real negatives to choose by: all but those of the test."""
    roles = {Role.WORD, Role.SPEECH, Role.NOISE}
    return [r for r in recordings if r.role in roles and r.split != "test"]


def parts(
    recordings: Sequence[Recording], pools: Sequence[Path], noise_hours: float
) -> dict[str, Sources]:
    """What chooses, "dev", and what is counted, "test".

    Args:
        recordings: real ones of all splits; everything around a word is of its split, too.
        pools: of split test or of another one.
        noise_hours: in each of the two.
    """
    chosen = {"dev": seen_or_dev(recordings), "test": never_trained(recordings)}
    return {
        part: Sources(
            recordings,
            negatives,
            negatives_pools=[p for p in pools if (pool_split(p) == "test") == (part == "test")],
            noise_hours=noise_hours,
            splits=(part,),
            noise_split=part,
        )
        for part, negatives in chosen.items()
    }


def print_study(phrase: str, present: float, dev: Study, test: Study, chosen: Chosen) -> None:
    """Two tables: what chooses, and what was chosen on the test."""
    rows = [pair for doubted in chosen.doubted for pair in (Pair(doubted.threshold), doubted)]
    _print(f'"{phrase}", dev: first stage alone, and with a limit', dev, [*rows, chosen.best])
    _print(
        f'"{phrase}", test: now, with a limit that costs dev {MOST_MORE_MISSES:.1%}, and the best'
        " pair that accepts no more than now on dev",
        test,
        [Pair(present), *(p for p in chosen.doubted if p.threshold == present), chosen.best],
    )


def _print(title: str, study: Study, pairs: Sequence[Pair]) -> None:
    table = Table(title=title)
    for column in ("threshold", "limit", *study.counts(pairs[0])):
        table.add_column(column)
    for pair in pairs:
        counts = (_short(each) for each in study.counts(pair).values())
        table.add_row(f"{pair.threshold:g}", f"{pair.limit:.3f}" if pair.limit else "", *counts)
    Console(width=max(170, Console().width)).print(table)


def _short(count: Share | Rate) -> str:
    if isinstance(count, Share):
        return f"{count.k} of {count.n}"
    return f"{count.events} in {count.hours:.2f} h"


def as_json(
    phrase: str, present: float, studies: dict[str, Study], chosen: Chosen
) -> dict[str, Any]:
    """All answers, so that other pairs can be tried, and what was chosen."""
    pairs = [Pair(present), *chosen.doubted, chosen.best]
    return {
        "schema": 1,
        "phrase": phrase,
        "present": present,
        "chosen": asdict(chosen),
        "counts": {
            part: [
                asdict(pair) | {title: asdict(count) for title, count in study.counts(pair).items()}
                for pair in pairs
            ]
            for part, study in studies.items()
        },
        "answers": {
            part: [asdict(group) for group in study.answers] for part, study in studies.items()
        },
    }
