"""Writes what a training run found: wake.json for the bundle, report.json and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.hearing.features import FRAME_SECONDS
from converters.wake.judging import Judged


def wake_entry(phrase: str, file: str, judged: Judged, length_frames: int) -> dict[str, Any]:
    """The word's entry in a bundle's manifest (whole numbers; the threshold in permille)."""
    return {
        "phrase": phrase,
        "file": file,
        "threshold": min(round(1000 * judged.rule.threshold), 999),
        "smoothing": judged.rule.smoothing,
        "refractory": round(judged.rule.refractory_s / FRAME_SECONDS),
        "second_stage": None,
        "latency": judged.latency_frames,
        "length": length_frames,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file, all or nothing."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def draw_curves(path: Path, curves: dict[str, Any], threshold: float, title: str) -> None:
    """Misses against false accepts an hour, one line a condition, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rates = curves["false_accepts_per_hour"]
    nearest = min(
        range(len(rates)), key=lambda number: abs(curves["thresholds"][number] - threshold)
    )
    figure, axes = plt.subplots(figsize=(7, 5))
    for name, misses in curves.items():
        if name in {"thresholds", "false_accepts_per_hour"}:
            continue
        line = axes.plot(rates, [100 * miss for miss in misses], label=name)[0]
        axes.plot(rates[nearest], 100 * misses[nearest], "o", color=line.get_color())
    axes.set(
        xlabel="false accepts per hour (tuning negatives)",
        ylabel="misses, %",
        xlim=(0, 4),
        ylim=(0, 40),
        title=f"{title}; dots: threshold {threshold:.3f}",
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
