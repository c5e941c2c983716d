"""Prints the figures of a wake word, and gives them as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from agent.bundle.schema import WakeEntry

if TYPE_CHECKING:
    from converters.evaluation.wake_counts import Negatives, Positives


def _pair(values: tuple[float, float] | None) -> str:
    return "" if values is None else f"{1000 * values[0]:.0f} / {1000 * values[1]:.0f} ms"


def print_tables(
    entry: WakeEntry, positives: Sequence[Positives], negatives: Sequence[Negatives]
) -> None:
    """Two tables: misses, and false accepts."""
    console = Console()
    title = f'"{entry.phrase}", threshold {entry.threshold / 1000:.3f}'
    table = Table(title=f"{title}: misses (95 % intervals)")
    for column in ("streams", "missed", "worst tenth of speakers", "delay median / 95 %",
                   "word end error, median / 95 %"):  # fmt: skip
        table.add_column(column)
    for group in positives:
        table.add_row(
            group.name, str(group.missed), str(group.worst_tenth),
            _pair(group.delay_s), _pair(group.end_error_s),
        )  # fmt: skip
    if positives:
        console.print(table)
    table = Table(title=f"{title}: false accepts (95 % intervals)")
    for column in ("streams", "events", "utterances with an event"):
        table.add_column(column)
    for each in negatives:
        table.add_row(each.name, str(each.accepted), str(each.utterances))
    if negatives:
        console.print(table)


def as_json(
    entry: WakeEntry, positives: Sequence[Positives], negatives: Sequence[Negatives]
) -> dict[str, Any]:
    """Everything in the tables, and which clips failed."""
    return {
        "schema": 1,
        "wake": asdict(entry),
        "positives": [
            asdict(group) | {"worst_tenth": asdict(group.worst_tenth)} for group in positives
        ],
        "negatives": [asdict(each) for each in negatives],
    }
