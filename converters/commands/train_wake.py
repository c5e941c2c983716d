"""``voice-converters train-wake``: from a phrase, pools and recordings to a wake-word model."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from converters.wake.training import Trainer
    from converters.wake.tuning_set import Standing

HELP = "train a wake-word model; interrupt and repeat the command to go on"
_TIMING_STEPS = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--phrase", default="computer", help="the wake phrase (default: %(default)s)")
    add(
        "--pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="synthetic wake words and hard negatives made by `synthesise` (may be repeated)",
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
        "--negatives-hours",
        type=float,
        default=10.0,
        help="use so much of each of these (default: %(default)s)",
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
        "--real",
        type=Path,
        metavar="DIR",
        help="folder with manifests/*.jsonl and recordings; without it: synthetic speech only",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="model, report and checkpoint")
    add("--cache", type=Path, metavar="DIR", help="where features are kept (default: OUT/cache)")
    add(
        "--minutes",
        type=float,
        default=20.0,
        help="time for the training itself (default: %(default)s)",
    )
    add("--steps", type=int, help="exact number of steps, in place of --minutes")
    add("--channels", type=int, default=64, help="width of the network (default: %(default)s)")
    add("--seed", type=int, default=1)


def main(args: argparse.Namespace) -> int:
    """Trains, exports, chooses the threshold and writes the report."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # One thread: the network is so small that a second one only adds waiting.
    torch.set_num_threads(1)
    console = Console()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console,
    ) as bar:  # fmt: skip
        report = _train(args, bar)
    for name, missed in report["tuning"]["misses"].items():
        console.print(f"{name}: {missed['k']} of {missed['n']} missed")
    accepts = report["tuning"]["false_accepts"]
    console.print(f"false accepts: {accepts['events']} in {accepts['hours']:.2f} h of negatives")
    console.print(f"wrote {args.out / 'wake.json'} and {report['entry']['file']} beside it")
    return 0


def _counter(bar: Bar, name: str) -> Callable[[int, int], None]:
    task = bar.add_task(name, note="")

    def count(done: int, of: int) -> None:
        bar.update(task, completed=done, total=of)

    return count


def _train(args: argparse.Namespace, bar: Bar) -> dict[str, Any]:
    from agent.bundle.runtime import Model
    from converters.wake.detection import Rule
    from converters.wake.export import wake_tflite
    from converters.wake.feature_bank import bank_folder, build_bank, read_bank
    from converters.wake.judging import judge
    from converters.wake.pools import pool_utterances
    from converters.wake.recipe import augmenter_with_rooms, gather, plan_bank, word_length_frames
    from converters.wake.recordings import read_manifests
    from converters.wake.report import draw_curves, wake_entry, write_json
    from converters.wake.tuning_set import TuningSet

    args.out.mkdir(parents=True, exist_ok=True)
    recordings = list(read_manifests(args.real, args.phrase)) if args.real else []
    pools = [u for d in args.pool for u in pool_utterances(d, args.phrase)]
    for folder in args.negatives_pool:
        pools += pool_utterances(folder, args.phrase, args.negatives_hours)
    tuning_pools = [u for d in args.tuning_pool for u in pool_utterances(d, args.phrase)]
    material = gather(recordings, pools, tuning_pools)
    plan = plan_bank(material.training)
    augmenter = augmenter_with_rooms(recordings)
    entries = []
    # Two banks: when a pool grows, the recordings' features are still good.
    for name, real in (("recordings", True), ("synthesis", False)):
        part = [planned for planned in plan if planned.utterance.real is real]
        folder = bank_folder(args.cache or args.out / "cache", part, args.seed)
        build_bank(folder, part, augmenter, args.seed, _counter(bar, f"features: {name}"))
        entries += read_bank(folder)
    tuning = TuningSet(material.tuning, args.seed, _counter(bar, "tuning set"))

    trainer = _trainer(args, entries, tuning)
    _run(trainer, bar)

    file = args.out / f"{args.phrase.lower().replace(' ', '_')}.tflite"
    file.write_bytes(wake_tflite(trainer.best, args.phrase))
    judged = judge(Model(file), tuning, Rule(0.5))
    entry = wake_entry(args.phrase, f"wake/{file.name}", judged, word_length_frames(entries))
    curves = judged.figures.pop("curves")
    report = {
        "entry": entry,
        "tuning": judged.figures,
        "bytes": file.stat().st_size,
        "hours_in_bank": sum(len(e.hops) for e in entries) / 360_000,
        "steps": trainer.step,
        "history": trainer.history,
    }
    write_json(args.out / "wake.json", entry)
    write_json(args.out / "report.json", report | {"curves": curves})
    draw_curves(args.out / "report.png", curves, judged.rule.threshold, f'"{args.phrase}"')
    return report


def _trainer(args: argparse.Namespace, entries: Any, tuning: Any) -> Trainer:
    """A new or resumed trainer; minutes become steps by timing a few of them once."""
    from converters.wake.model import WakeConfig
    from converters.wake.streams import Mixture
    from converters.wake.training import Schedule, Trainer

    def make(steps: int, checkpoint: Path | None) -> Trainer:
        return Trainer(
            entries=entries,
            tuning=tuning,
            config=WakeConfig(args.channels),
            schedule=Schedule(steps),
            mixture=Mixture(),
            seed=args.seed,
            checkpoint=checkpoint,
        )

    steps = args.steps
    length = args.out / "steps.json"
    if steps is None and length.exists():
        steps = int(json.loads(length.read_text(encoding="utf-8"))["steps"])
    if steps is None:
        trial = make(10**6, None)
        trial.run(until=8)
        began = time.monotonic()
        trial.run(until=8 + _TIMING_STEPS)
        steps = max(100, int(args.minutes * 60 * _TIMING_STEPS / (time.monotonic() - began)))
        length.write_text(json.dumps({"steps": steps, "minutes": args.minutes}), encoding="utf-8")
    return make(steps, args.out / "checkpoint.pt")


def _run(trainer: Trainer, bar: Bar) -> None:
    from converters.wake.training import Progress

    task = bar.add_task("training", note="")
    shown: Standing | None = None

    def show(progress: Progress) -> None:
        nonlocal shown
        left = (progress.steps - progress.step) * progress.seconds_per_step / 60
        note = f"loss {progress.loss:.4f}  {left:.0f} min left"
        if progress.standing is not None:
            standing = progress.standing
            note += (
                f"  dev: {100 * standing.misses:.1f} % missed at"
                f" {standing.at_per_hour:g}/h  merit {standing.merit:.3f}"
                f"  mined {progress.mined}"
            )
        bar.update(task, completed=progress.step, total=progress.steps, note=note)
        if progress.standing is not shown:
            # A line that stays, also where there is no terminal to draw a bar on.
            shown = progress.standing
            bar.console.print(f"step {progress.step} of {progress.steps}: {note}")

    trainer.run(show)
