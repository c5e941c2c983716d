"""Writes what a training run found: wake.json for the bundle, reports, and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.hearing.features import FRAME_SECONDS
from converters.wake.judging import Judged

_NO_CURVES = {"thresholds", "false_accepts_per_hour"}


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


def reason(judged: Judged) -> str:
    """Why the threshold is what it is, in a sentence or two."""
    chosen = judged.chosen
    if chosen.peaks <= 2:
        return (
            f"Threshold {chosen.threshold:.3f}: hardly anything in {chosen.hours:.2f} h without the"
            " phrase came near it, so there is no tail to fit; a half is the middle."
        )
    text = (
        f"Threshold {chosen.threshold:.3f}: the {chosen.peaks} highest peaks in"
        f" {chosen.hours:.2f} h without the phrase fall off so that {chosen.most_per_hour:g} an"
        f" hour reach {chosen.fitted:.3f}."
    )
    if chosen.overruled:
        text += " More reached that than chance explains, so the threshold is above their count."
    return text


_AT_PER_HOUR = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)


def markdown(report: dict[str, Any], curves: dict[str, Any]) -> str:
    """The closing report, for people."""
    entry, tuning = report["entry"], report["tuning"]
    accepts, near = tuning["false_accepts"], tuning["near_misses_accepted"]
    counted = (
        f"On what was never trained on: {accepts['events']} false accepts in"
        f" {accepts['hours']:.2f} h ({accepts['low']:.2f} to {accepts['high']:.2f} an hour),"
        f" {near['k']} of {near['n']} near misses accepted."
    )
    lines = [
        f'# "{entry["phrase"]}"',
        "",
        f"{report['bytes']} bytes, {report['steps']} steps over {report['hours_in_bank']:.1f} h.",
        "",
        report["reason"],
        "",
        counted,
        "",
        "| Missed at the threshold | k of n | 95 % |",
        "|---|---|---|",
    ]
    for name, missed in tuning["misses"].items():
        interval = f"{100 * missed['low']:.1f} to {100 * missed['high']:.1f} %"
        lines.append(f"| {name} | {missed['k']} of {missed['n']} | {interval} |")
    rates = curves["false_accepts_per_hour"]
    lines += ["", "How both errors trade (curve: report.png):", ""]
    heads = "".join(f" {most:g}/h |" for most in _AT_PER_HOUR)
    lines += [
        f"| Missed at false accepts of at most |{heads}",
        "|---" * (1 + len(_AT_PER_HOUR)) + "|",
    ]
    for name, misses in curves.items():
        if name in _NO_CURVES:
            continue
        cells = [_least(misses, rates, most) for most in _AT_PER_HOUR]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _least(misses: list[float], rates: list[float], most: float) -> str:
    allowed = [miss for miss, found in zip(misses, rates, strict=True) if found <= most]
    return f"{100 * min(allowed):.1f} %" if allowed else "-"


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
        if name in _NO_CURVES:
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
