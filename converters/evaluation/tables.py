"""Figures of a recogniser as tables: for the terminal, and as Markdown for RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich import box
from rich.table import Table as Grid

from converters.evaluation.confusions import Confusions
from converters.evaluation.scores import SetResult

_SPEAKERS_SHOWN = 12


@dataclass(frozen=True)
class Table:
    """A caption, heads and rows of text."""

    caption: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def grid(self) -> Grid:
        """For a terminal."""
        grid = Grid(title=self.caption, box=box.SIMPLE, title_justify="left")
        for number, head in enumerate(self.heads):
            grid.add_column(head, justify="right" if number else "left")
        for row in self.rows:
            grid.add_row(*row)
        return grid

    def markdown(self) -> str:
        """For a file: the caption, an empty line, the table."""
        lines = [self.heads, ("---",) * len(self.heads), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{self.caption}:\n\n{table}\n"


def _errors(result: SetResult) -> str:
    words, (low, high) = result.words, result.interval
    return (
        f"{words.errors} of {words.length}, {_percent(words.rate)}"
        f" ({100 * low:.1f}-{100 * high:.1f}, over {result.resampled})"
    )


def sets_table(
    caption: str, results: Sequence[SetResult], ratios: Mapping[str, float] | None = None
) -> Table:
    """Everything about every set, and the ratio of real to synthetic errors in the caption."""
    for name, ratio in (ratios or {}).items():
        caption += f"; {name}: {ratio:.1f} times the word errors of the synthetic commands"
    heads = ("Set", "Word errors (95 %)", "Characters", "Sentences right", "All slots right",
             "Worst tenth of speakers")  # fmt: skip
    rows = [
        (
            result.name,
            _errors(result),
            _percent(result.characters.rate),
            f"{result.sentences.k} of {result.sentences.n}",
            "-" if result.slots is None else f"{result.slots.k} of {result.slots.n}",
            f"{_percent(result.worst_tenth)} of {len(result.by_speaker)}",
        )
        for result in results
    ]
    return Table(caption, heads, rows)


def conditions_table(caption: str, rows: Mapping[str, Mapping[str, SetResult]]) -> Table:
    """Word errors by set and condition."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return Table(
        caption,
        ("Word errors", "Sentences", *names),
        [
            (
                chosen,
                str(next(iter(row.values())).sentences.n),
                *(_percent(row[name].words.rate) if name in row else "-" for name in names),
            )
            for chosen, row in rows.items()
        ],
    )


def engines_table(caption: str, engines: Mapping[str, Sequence[SetResult]]) -> Table:
    """Word errors and slots of several recognisers on the same recordings."""
    rows = []
    for results in zip(*engines.values(), strict=True):
        first = results[0]
        cells = [_errors(result) for result in results]
        for number, result in enumerate(results):
            if result.slots is not None:
                cells[number] += f"; slots {result.slots.k}"
        rows.append((first.name, str(first.sentences.n), *cells))
    return Table(caption, ("Set", "Sentences", *engines), rows)


def speakers_table(results: Sequence[SetResult]) -> Table:
    """Word errors of each speaker of the sets that have several, the worst first."""
    rows = []
    for result in results:
        worst = sorted(result.by_speaker.items(), key=lambda pair: (-pair[1].rate, pair[0]))
        if len(worst) > 1:
            shown = [f"{who} {_percent(c.rate)} of {c.length}" for who, c in worst]
            left = len(shown) - _SPEAKERS_SHOWN
            rest = [f"and {left} better ones"] if left > 0 else []
            rows.append((result.name, ", ".join([*shown[:_SPEAKERS_SHOWN], *rest])))
    return Table("By speaker", ("Set", "Word errors, the worst first"), rows)


def confusions_table(groups: Mapping[str, Confusions], count: int) -> Table:
    """The most frequent wrong words and letters of each group."""
    heads: list[str] = []
    columns: list[list[str]] = []
    for name, found in groups.items():
        heads += [f"{name}: words", f"{name}: letters"]
        for frequent in (found.frequent_words(count), found.frequent_letters(count)):
            columns.append([f"{said} → {heard} ({n})" for (said, heard), n in frequent])
    lines = enumerate(zip_longest(*columns, fillvalue=""), 1)
    rows = [(str(number), *line) for number, line in lines]
    return Table("Most frequent errors, said → heard (times)", ("", *heads), rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
