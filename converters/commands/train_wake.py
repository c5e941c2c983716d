"""``voice-converters train-wake``: from a phrase to a wake-word model.

    voice-converters train-wake --phrase "hey pepper" --out DIR

needs nothing but the phrase: it makes the speech that it learns from, and begins with what the
bundled model knows of sounds. Hours of speech and features that serve any phrase are made once and
kept in --cache. Pools that are there already,
recordings with manifests, and folders of plain recordings are used where they are given:

    voice-converters train-wake --from hey_pepper.tflite --positives CALLS --negatives TV --out NEW

Interrupt and repeat the command to go on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

HELP = "train a wake-word model from a phrase; interrupt and repeat the command to go on"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--phrase", help='the wake phrase (default: "computer", or that of --from)')
    add("--out", type=Path, required=True, metavar="DIR", help="model, report and checkpoint")
    add("--from", dest="start", type=Path, metavar="MODEL",
        help="go on from this .tflite file; without it, a new word begins with what the bundled"
        " one knows of sounds")  # fmt: skip
    add("--from-scratch", action="store_true", help="begin with random weights")
    _configure_sound(parser.add_argument_group("what it hears"))
    _configure_training(parser.add_argument_group("how it learns"))


def _configure_sound(group: Any) -> None:
    add = group.add_argument
    add(
        "--positives",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="recordings that hold the phrase once each; folders inside name speakers",
    )
    add(
        "--negatives",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="recordings without the phrase: what woke it wrongly, television, music",
    )
    add(
        "--real",
        type=Path,
        metavar="DIR",
        help="folder with manifests/*.jsonl and recordings of all kinds",
    )
    add(
        "--phrase-only",
        action="store_true",
        help="leave out those of --real that hold the phrase, to see what it is worth without",
    )
    add(
        "--fold",
        type=int,
        choices=(1, 2),
        help="deal the real calls anew: half of the speakers are kept to test by, with"
        " `evaluate --wake --fold`",
    )
    add(
        "--pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="wake words and near misses made by `synthesise` (default: made in OUT/pools)",
    )
    add(
        "--negatives-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="synthetic speech without the phrase (may be repeated)",
    )
    add(
        "--tuning-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="pools of another seed or voice to choose by; without any, a part of the others",
    )
    add(
        "--threshold-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="more speech without the phrase, for the threshold alone; heard once, at the end, and"
        " what was trained on is passed over",
    )
    add(
        "--words",
        type=int,
        default=3000,
        metavar="N",
        help="utterances to make, half of them with the phrase; 0: none (default: %(default)s)",
    )
    add(
        "--negatives-hours",
        type=float,
        default=10.0,
        metavar="H",
        help="speech without the phrase, to make or to use of each pool (default: %(default)s)",
    )
    add(
        "--music",
        type=int,
        default=1200,
        metavar="N",
        help="pieces of music to make, 12 s each (default: %(default)s)",
    )
    add("--jobs", type=int, default=2,
        help="processes that make speech and features (default: %(default)s)")  # fmt: skip
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="what serves any phrase: speech, features (default: .cache/wake, see the README)",
    )


def _configure_training(group: Any) -> None:
    add = group.add_argument
    add("--minutes", type=float, help="train for so long instead of a number of steps")
    add(
        "--steps",
        type=int,
        metavar="N",
        help="(default: 1500; with --from the same word 2000, with --from-scratch 8000)",
    )
    add("--rate", type=float, help="peak learning rate (default: 0.0007, 0.0006, 0.003 likewise)")
    add(
        "--channels",
        type=int,
        default=64,
        help="width of the network, with --from-scratch (default: %(default)s)",
    )
    add("--seed", type=int, default=1)


def main(args: argparse.Namespace) -> int:
    """Trains, exports, chooses the threshold and writes the report."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from converters.wake.whole_run import WholeRun

    # One thread: the network is so small that a second one only adds waiting.
    torch.set_num_threads(1)
    console = Console()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console,
    ) as bar:  # fmt: skip
        run = WholeRun(args, _Screen(bar))
        report = run.run()
    for name, missed in report["tuning"]["misses"].items():
        console.print(f"{name}: {missed['k']} of {missed['n']} missed")
    accepts = report["tuning"]["false_accepts"]
    console.print(f"false accepts: {accepts['events']} in {accepts['hours']:.2f} h of negatives")
    console.print(report["reason"])
    console.print(f"wrote {report['entry']['file']}, wake.json, report.md and report.png to"
                  f" {args.out}")  # fmt: skip
    return 0


class _Screen:
    """Progress bars, and lines that stay also where there is no terminal."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._tasks: dict[str, Any] = {}

    def show(self, name: str, done: float, note: str = "") -> None:
        """A bar by its name, from 0 to 1."""
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=1.0, note="")
        self._bar.update(self._tasks[name], completed=done, note=note)

    def line(self, text: str) -> None:
        """A line that stays."""
        self._bar.console.print(text)
