"""What the doubts of the recogniser would save and cost: the second stage of a wake word, measured.

Every detection of the first stage is taken, with the agreement of the second, whatever it says. A
limit on the agreement then turns wake words into misses and false accepts into nothing. The highest
limit that costs no more misses than allowed is the one that could be shipped.

The real recordings are those of dev, and as negatives also those that the first stage was trained
on: it may be deceived by them at a lower threshold only, and the recogniser never heard them as
anything but speech. The test split is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.bundle.schema import WakeEntry
from converters.evaluation.intervals import Rate, Share, rate, share
from converters.evaluation.wake_audio import Group
from converters.evaluation.wake_counts import Player, owed
from converters.wake.recordings import Recording, Role

MOST_MORE_MISSES = 0.005
"""Share of the wake words that the second stage may cost."""
_LEAST_SAVED = 0.5
"""Share of the false accepts that it has to save, to be worth having."""


@dataclass(frozen=True)
class Detected:
    """What the first stage detected in a group of streams."""

    name: str
    agreements: tuple[float, ...]
    """Of each detection: of each word that was not missed, or of each false accept."""
    streams: int
    hours: float


@dataclass(frozen=True)
class Trade:
    """Detections of both kinds, and the limit that follows from them."""

    positives: list[Detected]
    negatives: list[Detected]

    @property
    def limit(self) -> float:
        """The highest limit that costs at most `MOST_MORE_MISSES` of the wake words."""
        heard = np.sort([a for group in self.positives for a in group.agreements])
        words = sum(group.streams for group in self.positives)
        allowed = int(MOST_MORE_MISSES * words)
        return float(heard[allowed]) if allowed < len(heard) else 0.0

    @property
    def worth_it(self) -> bool:
        """Whether that limit saves enough false accepts."""
        events = [a for group in self.negatives for a in group.agreements]
        saved = sum(a < self.limit for a in events)
        return bool(events) and saved >= _LEAST_SAVED * len(events)

    def as_json(self) -> dict[str, Any]:
        """Everything, so that other limits can be tried."""
        return asdict(self) | {"limit": self.limit, "worth_it": self.worth_it}


def seen_or_dev(recordings: Sequence[Recording]) -> list[Recording]:
    """Real negatives to choose by: all but those of the test."""
    roles = {Role.WORD, Role.SPEECH, Role.NOISE}
    return [r for r in recordings if r.role in roles and r.split != "test"]


def trade(player: Player, positives: Iterable[Group], negatives: Iterable[Group]) -> Trade:
    """Plays streams to a wake word with a second stage that rejects nothing."""
    return Trade(
        [_detected(player, group, with_word=True) for group in positives],
        [_detected(player, group, with_word=False) for group in negatives],
    )


def _detected(player: Player, group: Group, *, with_word: bool) -> Detected:
    agreements: list[float] = []
    streams, seconds = 0, 0.0
    for stream in group.streams:
        heard = player.play(stream)
        streams += 1
        seconds += stream.clip_s
        event = owed(heard)
        found = heard.events if not with_word else [] if event is None else [event]
        agreements += [e.agreement for e in found if e.agreement is not None]
    return Detected(group.name, tuple(agreements), streams, seconds / 3600)


def misses(group: Detected, limit: float) -> Share:
    """Words that are missed by the first stage, or rejected by the second."""
    return share(group.streams - sum(a >= limit for a in group.agreements), group.streams)


def accepts(group: Detected, limit: float) -> Rate:
    """False accepts that both stages let pass."""
    return rate(sum(a >= limit for a in group.agreements), group.hours)


def print_trade(entry: WakeEntry, found: Trade) -> None:
    """The table, and what follows from it."""
    limit = found.limit
    table = Table(
        title=f'"{entry.phrase}", first stage {entry.threshold / 1000:.3f},'
        f" second stage {limit:.2g} (95 % intervals)"
    )
    for column in ("streams", "first stage alone", "with the second", "agreement, median"):
        table.add_column(column)
    for groups, count in ((found.positives, misses), (found.negatives, accepts)):
        for group in groups:
            median = f"{np.median(group.agreements):.2g}" if group.agreements else ""
            table.add_row(group.name, str(count(group, 0.0)), str(count(group, limit)), median)
    console = Console(width=max(120, Console().width))
    console.print(table)
    events = [a for group in found.negatives for a in group.agreements]
    words = sum(group.streams for group in found.positives)
    rejected = sum(a < limit for group in found.positives for a in group.agreements)
    console.print(
        f"A limit of {limit:.2g} rejects {rejected} of {words} wake words, and"
        f" {sum(a < limit for a in events)} of {len(events)} false accepts:"
        f" {'worth having' if found.worth_it else 'not worth having'}."
    )
