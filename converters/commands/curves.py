"""``voice-converters curves``: pictures of how trainings went, and of what real speech was worth.

Losses and development word errors of trainings against the hours they heard:

    voice-converters curves .cache/asr/run1 .cache/asr/run2 --out runs.png

Word errors against hours of real speech that models learnt from, each evaluated beforehand with
`evaluate --json`:

    voice-converters curves --real-hours 0=none.json --real-hours 5=mini.json --out worth.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "draw learning curves"


def _hours_and_file(text: str) -> tuple[float, Path]:
    hours, _, file = text.partition("=")
    try:
        value = float(hours)
    except ValueError:
        value = -1.0
    if not file or not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOURS=FILE, such as 5=mini.json")
    return value, Path(file)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("runs", nargs="*", type=Path, metavar="RUN", help="folders that train-asr has written")
    add("--real-hours", type=_hours_and_file, action="append", default=[], metavar="HOURS=FILE",
        help="figures of a model that learnt from so many hours of real speech (repeat it)")
    add("--out", type=Path, required=True, metavar="FILE.png", help="picture to write")


def main(args: argparse.Namespace) -> int:
    """Draws one picture; returns the exit status.

    Raises:
        CurveError: a log or a file of figures cannot be drawn.
    """
    from converters.evaluation.curves import CurveError, against_hours, read_run
    from converters.evaluation.pictures import draw_against_hours, draw_runs

    if bool(args.runs) == bool(args.real_hours):
        raise CurveError("There is one picture at a time: give RUN folders or --real-hours.")
    if args.runs:
        runs = [read_run(folder) for folder in args.runs]
        draw_runs(args.out, runs)
        for run in runs:
            for name, points in sorted(run.word_errors.items()):
                best = min(points, key=lambda point: point[1])
                print(f"{run.name}, {name}: {points[-1][1]:.1%} after {points[-1][0]:.0f} h heard,"
                      f" at best {best[1]:.1%} after {best[0]:.0f} h")  # fmt: skip
    else:
        curves = against_hours(args.real_hours)
        draw_against_hours(args.out, curves)
        for name, points in curves.items():
            print(f"{name}: " + ", ".join(f"{hours:g} h {rate:.1%}" for hours, rate in points))
    print(f"wrote {args.out}")
    return 0
