"""How trainings went, from their logs, and what real speech was worth, from evaluations.

`RUN/log.jsonl` has one line per so many steps with losses, and one per evaluation with the hours
heard since the start of the run. Steps between two evaluations heard equally much.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.errors import VoiceAgentError

Points = list[tuple[float, float]]


class CurveError(VoiceAgentError):
    """A log or a file of figures that cannot be drawn."""


@dataclass(frozen=True)
class Run:
    """The curves of one training; every point is (hours heard, value)."""

    name: str
    losses: dict[str, Points] = field(default_factory=dict)
    """"loss" in nats per label, "phones" in nats per frame."""
    word_errors: dict[str, Points] = field(default_factory=dict)
    """By development set, 0.2 for a fifth."""


_LOSSES = ("loss", "phones")


def read_run(folder: Path) -> Run:
    """The curves in a run's log.

    Raises:
        CurveError: there is no log, or no evaluation in it yet.
    """
    path = folder / "log.jsonl"
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise CurveError(f"{path} cannot be read: give the folder of a training run.") from error
    heard = [(e["step"], e["hours_seen"]) for e in entries if "hours_seen" in e]
    if not heard:
        raise CurveError(f"{path} holds no evaluation yet: let the training go on for a while.")
    steps, hours = np.array([(0, 0.0), *heard]).T
    run = Run(folder.name)
    for entry in entries:
        if "step" not in entry:
            continue
        at = _hours(float(entry["step"]), steps, hours)
        for name in _LOSSES:
            # A loss that is not learnt from yet is written as zero.
            if entry.get(name):
                run.losses.setdefault(name, []).append((at, float(entry[name])))
        for name, rate in entry.get("word_error_rate", {}).items():
            run.word_errors.setdefault(name, []).append((at, float(rate)))
    return run


def _hours(step: float, steps: np.ndarray, hours: np.ndarray) -> float:
    """Hours heard at a step: between evaluations on a line, behind the last at its pace."""
    if step <= steps[-1]:
        return float(np.interp(step, steps, hours))
    pace = (hours[-1] - hours[-2]) / max(steps[-1] - steps[-2], 1)
    return float(hours[-1] + (step - steps[-1]) * pace)


def against_hours(files: Sequence[tuple[float, Path]]) -> dict[str, Points]:
    """Word errors by set against hours of real speech.

    Args:
        files: hours, and what `evaluate --json` has written about the model that learnt from them.

    Returns:
        Name of a set -> (hours, word error rate), in the order of the hours.

    Raises:
        CurveError: a file holds no figures of a recogniser.
    """
    found: dict[str, Points] = defaultdict(list)
    for hours, path in sorted(files):
        try:
            for result in json.loads(path.read_text(encoding="utf-8"))["results"]:
                found[result["set"]].append((hours, float(result["word_errors"]["rate"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CurveError(
                f"{path} holds no figures of a recogniser: make it with evaluate --json."
            ) from error
    return dict(found)
