"""Pictures of what was measured, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters.evaluation.confusions import LETTERS, Confusions
from converters.evaluation.curves import Points, Run
from converters.evaluation.scores import SetResult

_DPI = 90
_WORDS = 20
_LINES = ("-", "--", ":", "-.")
"""A fifth development set of a run would be left out."""


def draw_noise(path: Path, rows: Mapping[str, Mapping[str, SetResult]]) -> None:
    """Word errors by condition, one line a set, with 95 % intervals.

    Args:
        path: PNG file to write.
        rows: set -> condition -> result; ratios are joined, a room stands alone.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    joined = [name for name in names if name == "clean" or name.endswith(" dB")]
    for shift, (name, row) in enumerate(rows.items()):
        colour = f"C{shift}"
        for part, label in ((joined, name), ([n for n in names if n not in joined], None)):
            shown = [condition for condition in part if condition in row]
            rates = np.array([100 * row[c].words.rate for c in shown])
            ends = np.array([row[c].interval for c in shown]).reshape(-1, 2).T * 100
            at = np.array([names.index(c) for c in shown]) + 0.06 * shift
            # A percentile interval may lie beside the rate itself.
            spread = np.maximum([rates - ends[0], ends[1] - rates], 0.0)
            axes.errorbar(at, rates, spread, fmt="o-", color=colour, label=label, capsize=3)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="word errors, %", ylim=(0, None), xlabel="speech over household noise")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=_DPI)


def draw_confusions(path: Path, groups: Mapping[str, Confusions]) -> None:
    """For each group: the most frequent wrong words as bars, and letters as a matrix."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.5 * len(groups)), layout="constrained")
    axes = figure.subplots(len(groups), 2, squeeze=False)
    for (bars, matrix), (name, found) in zip(axes, groups.items(), strict=True):
        frequent = found.frequent_words(_WORDS)[::-1]
        labels = [f"{said} → {heard}" for (said, heard), _ in frequent]
        bars.barh(range(len(frequent)), [n for _, n in frequent])
        bars.set_yticks(range(len(frequent)), labels)
        bars.set(title=f"{name}: said → heard, most frequent", xlabel="times")
        _letter_matrix(figure, matrix, found)
    figure.savefig(path, dpi=_DPI)


def _letter_matrix(figure: Any, axes: Any, found: Confusions) -> None:
    """Of each letter that was said, how much was heard as what; right ones are left out."""
    table = np.zeros((len(LETTERS), len(LETTERS)))
    place = {letter: number for number, letter in enumerate(LETTERS)}
    for (said, heard), times in found.letters.items():
        table[place[said], place[heard]] += times
    said_times = np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    # What was never said has no right: its row is a share of all that was inserted.
    shares = 100 * table / said_times
    np.fill_diagonal(shares, 0.0)
    image = axes.imshow(shares[:-1], cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(LETTERS)), LETTERS)
    axes.set_yticks(range(len(LETTERS) - 1), LETTERS[:-1])
    axes.set(xlabel="heard (- nothing, _ space)", ylabel="said", title="letters heard wrongly, %")
    figure.colorbar(image, ax=axes)


def draw_runs(path: Path, runs: Sequence[Run]) -> None:
    """Losses and development word errors of trainings against the hours they have heard."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    losses, errors = figure.subplots(1, 2)
    for number, run in enumerate(runs):
        for mark, (name, points) in zip(_LINES, sorted(run.losses.items()), strict=False):
            line = {"ls": mark, "color": f"C{number}", "label": f"{run.name}: {name}"}
            losses.plot(*np.array(points).T, **line)
        for mark, (name, points) in zip(_LINES, sorted(run.word_errors.items()), strict=False):
            hours, rates = np.array(points).T
            line = {"ls": mark, "color": f"C{number}", "label": f"{run.name}: {name}"}
            errors.plot(hours, 100 * rates, marker="o", **line)
    losses.set(xlabel="hours heard", ylabel="loss: nats per label; phones: nats per frame")
    errors.set(xlabel="hours heard", ylabel="word errors of the development sets, greedy, %")
    for axes in (losses, errors):
        axes.grid(visible=True, alpha=0.3)
        axes.set(ylim=(0, None))
        if axes.has_data():
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)


def draw_against_hours(path: Path, curves: Mapping[str, Points]) -> None:
    """Word errors of each set against hours of real speech that were learnt from."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        hours, rates = np.array(points).T
        axes.plot(hours, 100 * rates, "o-", label=name)
    # Logarithmic, and yet with a place for none.
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="hours of real speech learnt from", ylabel="word errors, %", ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)
