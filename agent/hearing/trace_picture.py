"""A picture of a score trace as SVG, written by hand: a board needs no plotting library for it.

Above, the level of every frame; below, the score with the threshold, detections and close calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from agent.hearing.features import FRAME_SECONDS
from agent.hearing.score_trace import Moment, ScoreTrace

_WIDTH, _LEFT, _RIGHT = 1000, 50, 15
_LEVEL_TOP, _LEVEL_HEIGHT = 40, 90
_SCORE_TOP, _SCORE_HEIGHT = 160, 220
_HEIGHT = _SCORE_TOP + _SCORE_HEIGHT + 40
_QUIETEST_DBFS = -80.0
_MOST_NAMED = 12
"""Close calls with a number beside them; more would lie over each other."""


def svg(trace: ScoreTrace, title: str) -> str:
    """The picture.

    Args:
        trace: What is drawn; an hour is drawn in as many columns as a second.
        title: Stands above it.

    Returns:
        A whole SVG document.
    """
    threshold = trace.settings.threshold
    fired, close = trace.detections(), trace.close_calls()[:_MOST_NAMED]
    levels = 1.0 - np.clip(trace.levels_dbfs / _QUIETEST_DBFS, 0.0, 1.0)
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        _text(4, _LEVEL_TOP + 10, "0 dBFS"),
        _text(4, _LEVEL_TOP + _LEVEL_HEIGHT, f"{_QUIETEST_DBFS:.0f}"),
        _curve(levels, _LEVEL_TOP, _LEVEL_HEIGHT, "#777"),
        _frame(_LEVEL_TOP, _LEVEL_HEIGHT),
        _frame(_SCORE_TOP, _SCORE_HEIGHT),
    ]
    for value in (0.0, 0.5, 1.0):
        parts.append(_text(20, _score_y(value) + 4, f"{value:g}"))
    parts += _seconds_axis(trace.seconds)
    y = _score_y(threshold)
    parts.append(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        ' stroke="#c33" stroke-dasharray="6 4"/>'
    )
    parts.append(_text(_LEFT + 4, y - 4, f"threshold {threshold:.2f}", "#c33"))
    parts.append(_curve(trace.scores, _SCORE_TOP, _SCORE_HEIGHT, "#236"))
    parts += _marks(fired, trace.seconds, "#283")
    parts += _marks(close, trace.seconds, "#b60")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _score_y(score: float) -> float:
    return _SCORE_TOP + (1.0 - score) * _SCORE_HEIGHT


def _x(time_s: float, seconds: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * time_s / max(seconds, FRAME_SECONDS)


def _text(x: float, y: float, text: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>'


def _frame(top: int, height: int) -> str:
    width = _WIDTH - _LEFT - _RIGHT
    return (
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#aaa"/>'
    )


def _curve(values: NDArray[np.floating], top: int, height: int, colour: str) -> str:
    """A line through the highest value of each column, so that no peak is lost."""
    if not len(values):
        return ""
    columns = min(len(values), _WIDTH - _LEFT - _RIGHT)
    starts = np.arange(columns) * len(values) // columns
    highest = np.maximum.reduceat(values, starts)
    xs = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (starts + 0.5) / len(values)
    ys = top + (1.0 - np.clip(highest, 0.0, 1.0)) * height
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}"/>'


def _seconds_axis(seconds: float) -> list[str]:
    steps = (0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600)
    step = next((s for s in steps if seconds / s <= 12), 7200)
    times = np.arange(0.0, seconds + 1e-9, step)
    return [_text(_x(time, seconds) - 6, _HEIGHT - 20, f"{time:g} s") for time in times]


def _marks(moments: Sequence[Moment], seconds: float, colour: str) -> list[str]:
    parts = []
    for moment in moments:
        x, y = _x(moment.time_s, seconds), _score_y(moment.score)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        parts.append(_text(x + 6, y - 4, f"{moment.score:.2f}", colour))
    return parts
