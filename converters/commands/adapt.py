"""``voice-converters adapt``: a bundle learns one person's voice from a few minutes of reading.

    voice-converters adapt --print-prompts 50 > recordings/prompts.tsv
    (record each sentence as recordings/001.wav, 002.wav, ...)
    voice-converters adapt --recordings recordings --out me.overlay

Weights that matter for everybody are held (elastic weight consolidation), general speech is
rehearsed where there is a pool of it, and half of what was learnt is kept. Every recording is held
out once, and nothing is written unless those unheard ones are understood better and the bundle's
self-test no worse than chance explains. The overlay goes over every release of the same layout:
name it in `bundle.overlay` on the board. With --bench, measures all of this on the speakers of a
corpus instead: odd clips adapt, even clips test.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converters.adaptation.tuning import Plan
    from converters.adaptation.whole_run import Adapted, Base

HELP = "adapt a bundle to one person's voice"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--print-prompts", type=int, metavar="N",
        help="print N sentences to read, as prompts.tsv, and do nothing else")
    add("--bundle", type=Path, metavar="DIR", help="model bundle (default: the factory bundle)")
    add("--recordings", type=Path, metavar="DIR",
        help="audio files, and prompts.tsv or a NAME.txt beside each NAME.wav")
    add("--out", type=Path, metavar="FILE", help="the overlay")
    add("--out-bundle", type=Path, metavar="DIR", help="also write the whole adapted bundle")
    add("--pool", type=Path, metavar="DIR",
        help="general speech made by `synthesise`: is rehearsed, and tells what matters for all "
             "(default: nothing is rehearsed, and the bundle's self-test tells)")
    add("--clips", type=int, default=200, metavar="N",
        help="clips of general speech (default: %(default)s)")
    add("--hold", type=float, metavar="STRENGTH", help="how firmly weights that matter are held")
    add("--rate", type=float, help="learning rate")
    add("--share", type=float,
        help="how much of what was learnt is kept, from 0 to 1: less spares the others more")
    add("--steps", type=int, help="most steps to learn for")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1, help="compute threads (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    add("--bench", type=Path, metavar="MANIFEST",
        help="measure on the speakers of a corpus instead; writes no overlay")
    add("--splits", nargs="+", default=["test"], metavar="SPLIT",
        help="with --bench: splits of the corpus (default: test)")
    add("--fixed", action="store_true",
        help="with --bench: adapt for all --steps instead of choosing them by held-out recordings")
    add("--others", type=Path, metavar="POOL",
        help="with --bench: synthetic test pool whose cells must not suffer")
    add("--limit", type=int, default=60, metavar="N",
        help="with --bench: sentences of each cell (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Adapts, measures or prints; returns the exit status.

    Raises:
        AdaptationError: the recordings cannot be used, or adapting does not pay.
        BundleError: the bundle cannot be used.
    """
    if args.print_prompts is not None:
        return _print_prompts(args.print_prompts, args.seed)
    if args.bench is None and (args.recordings is None or args.out is None):
        print("error: give --recordings DIR and --out FILE, or --print-prompts N", file=sys.stderr)
        return 2
    import torch

    torch.set_num_threads(args.threads)
    content = _bench(args) if args.bench is not None else _adapt(args)
    if args.json is not None:
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _print_prompts(count: int, seed: int) -> int:
    from converters.adaptation.recordings import prompts

    width = max(3, len(str(count)))
    for number, text in enumerate(prompts(count, seed), 1):
        print(f"{number:0{width}d}\t{text}")
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    import dataclasses

    from converters.adaptation.tuning import Plan

    given = {"strength": args.hold, "rate": args.rate, "share": args.share, "steps": args.steps}
    return dataclasses.replace(Plan(), **{k: v for k, v in given.items() if v is not None})


def _base(args: argparse.Namespace, progress: Any) -> Base:
    import firmware_models
    from converters.adaptation.material import general_speech
    from converters.adaptation.whole_run import prepare

    general = [] if args.pool is None else general_speech(args.pool, args.clips)
    task = progress.add_task("weighing", total=len(general) or None)
    directory = args.bundle or firmware_models.factory_bundle()
    return prepare(directory, general, on_example=lambda: progress.advance(task))


def _adapt(args: argparse.Namespace) -> dict[str, Any]:
    from rich.progress import Progress

    from converters.adaptation.adapted_bundle import write_adapted
    from converters.adaptation.recordings import read_recordings
    from converters.adaptation.whole_run import adapt, looks, report, tried

    plan = _plan(args)
    recordings = read_recordings(args.recordings)
    seconds = sum(recording.seconds for recording in recordings)
    print(f"{len(recordings)} recordings, {seconds / 60:.1f} minutes")
    with Progress() as progress:
        base = _base(args, progress)
        task = progress.add_task("adapting", total=looks(plan))
        adapted = adapt(base, recordings, plan, seed=args.seed,
                        on_look=lambda: progress.advance(task))  # fmt: skip
        progress.update(task, completed=looks(plan))
    _print_choice(adapted)
    adapted, after = tried(base, adapted)
    before = base.before
    print(f"changed     {adapted.changed} of {adapted.total} weights")
    if adapted.part < 1.0:
        print(f"kept        {adapted.part:.0%} of it, so that the self-test does not suffer")
    print(f"self-test   {before.errors} -> {after.errors} word errors of {before.words}")
    _write_overlay(base, adapted, args.out)
    if args.out_bundle is not None:
        write_adapted(base.bundle, args.out_bundle, base.places, adapted.integers)
        print(f"wrote {args.out_bundle}")
    return report(adapted, before, after)


def _print_choice(adapted: Adapted) -> None:
    before, after = adapted.choice.before, adapted.choice.after
    print(
        f"held out    {before.words.errors} -> {after.words.errors} word errors of"
        f" {before.words.length}, characters {before.characters.rate:.1%} ->"
        f" {after.characters.rate:.1%}, after {adapted.choice.steps} steps"
    )


def _write_overlay(base: Base, adapted: Adapted, out: Path) -> None:
    import tempfile

    from converters.adaptation.adapted_bundle import write_adapted
    from converters.updates.overlay_maker import make_overlay

    with tempfile.TemporaryDirectory(prefix="adapted-") as folder:
        write_adapted(base.bundle, Path(folder), base.places, adapted.integers)
        made = make_overlay(base.bundle.directory, Path(folder), out)
    print(f"wrote {out}: {made.size} bytes; name it in bundle.overlay of the board's configuration")


def _bench(args: argparse.Namespace) -> dict[str, Any]:
    import dataclasses

    from rich.console import Console
    from rich.progress import Progress

    from converters.adaptation.bench import Bench, pooled, speakers
    from converters.evaluation.sets import pool_sets

    plan = _plan(args)
    people = speakers(args.bench, set(args.splits))
    cells = [] if args.others is None else list(pool_sets(args.others, args.limit))
    console = Console()
    console.width = max(console.width, 120)
    with Progress(console=console) as progress:
        base = _base(args, progress)
        task = progress.add_task("adapting", total=len(people))
        bench = Bench(base, plan, cells, seed=args.seed, fixed=args.fixed)
        measured = list(bench.run(people, lambda: progress.advance(task)))
    summary = pooled(measured)
    console.print(_people(measured), _summary(summary), sep="\n")
    return {"plan": dataclasses.asdict(plan), "pooled": summary, "speakers": [
        dataclasses.asdict(one) for one in measured
    ]}  # fmt: skip


def _people(measured: list[Any]) -> Any:
    from converters.asr.score import total

    rows = []
    for one in measured:
        pairs = ((one.before, one.after), (one.board_before, one.board_after))
        errors = [f"{total(b).errors} -> {total(a).errors}" for b, a in pairs]
        learnt = f"{one.learnt}, {one.seconds:.0f} s"
        rows.append((one.speaker, learnt, str(one.steps), f"{one.part:.1f}", str(one.changed),
                     *errors, str(total(one.before).length)))  # fmt: skip
    return _table(("speaker", "learnt from", "steps", "part", "weights changed",
                   "even clips, greedily", "as the board", "words"), rows)  # fmt: skip


def _summary(summary: dict[str, Any]) -> Any:
    lines = {name: pair for name, pair in summary.items() if name != "cells"}
    lines |= summary["cells"]
    return _table(("word errors", "before", "after", "words", "change"), [
        (name, str(pair["before"]), str(pair["after"]), str(pair["words"]),
         f"{pair['change']:+.2%}")
        for name, pair in lines.items()
    ])  # fmt: skip


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    """A table that can be put into a Markdown file as it is."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
