"""Prints the figures of a wake word, and gives them as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from agent.bundle.schema import WakeEntry

if TYPE_CHECKING:
    from converters.evaluation.wake_counts import Result
    from converters.evaluation.wake_cpu import Cpu


def _pair(values: tuple[float, float] | None) -> str:
    return "" if values is None else f"{1000 * values[0]:.0f} / {1000 * values[1]:.0f} ms"


def print_tables(phrase: str, permille: int, result: Result) -> None:
    """Two tables of one engine: misses, and false accepts."""
    console = Console(width=max(140, Console().width))
    ours = f", threshold {permille / 1000:.3f}" if "(" not in result.engine else ""
    title = f'{result.engine}{ours}, "{phrase}"'
    table = Table(title=f"{title}: misses (95 % intervals)")
    for column in ("streams", "missed", "worst tenth of speakers", "delay median / 95 %",
                   "word end error, median / 95 %"):  # fmt: skip
        table.add_column(column)
    for group in result.positives:
        table.add_row(
            group.name, str(group.missed), str(group.worst_tenth),
            _pair(group.delay_s), _pair(group.end_error_s),
        )  # fmt: skip
    if result.positives:
        console.print(table)
    for group in result.positives:
        if group.name.endswith(": clean") and group.missed.k and len(group.speakers) > 1:
            missed = [f"{who} {s.k} of {s.n}" for who, s in group.speakers.items() if s.k]
            console.print(f"{group.name}, missed by speaker: {', '.join(missed)}")
    table = Table(title=f"{title}: false accepts (95 % intervals)")
    for column in ("streams", "events", "utterances with an event"):
        table.add_column(column)
    for each in result.negatives:
        table.add_row(each.name, str(each.accepted), str(each.utterances))
    if result.negatives:
        console.print(table)


def print_cpu(costs: Sequence[Cpu]) -> None:
    """CPU of all engines."""
    if not costs:
        return
    first = costs[0]
    table = Table(
        title=f"CPU, {first.minutes:g} minutes {first.rounds} times, in turn, features included"
    )
    for column in ("engine", "CPU s per s of audio, median", "lowest", "highest"):
        table.add_column(column)
    for cost in costs:
        values = (cost.seconds_per_second, cost.lowest, cost.highest)
        table.add_row(cost.name, *(f"{value:.5f}" for value in values))
    Console().print(table)


def as_json(
    entry: WakeEntry, results: Sequence[Result], costs: Sequence[Cpu], left_out: Sequence[str]
) -> dict[str, Any]:
    """Everything in the tables, and which clips failed."""
    ours, *others = (
        {
            "engine": result.engine,
            "positives": [
                asdict(group) | {"worst_tenth": asdict(group.worst_tenth)}
                for group in result.positives
            ],
            "negatives": [asdict(each) for each in result.negatives],
        }
        for result in results
    )
    return {
        "schema": 1,
        "wake": asdict(entry),
        **ours,
        "others": others,
        "cpu": [asdict(cost) for cost in costs],
        "left_out": list(left_out),
    }
