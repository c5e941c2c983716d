"""Make a pool of synthetic speech, or make one longer.

A pool is defined by its kind, its seed and the versions of the engines; asking for more hours later
continues it, and utterance i is always the same. Example:

    voice-converters synthesise --kind command --hours 10 --seed 1
    voice-converters synthesise --kind wake --phrase computer --count 12000
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from converters import cache
from converters.synthesis.holdout import SPLITS
from converters.synthesis.pool import PoolWriter
from converters.synthesis.recipe import KINDS, Recipe
from converters.synthesis.rendering import Voices
from converters.synthesis.wake_texts import bare_phones
from converters.synthesis.workers import fill

HELP = "make a pool of synthetic speech"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--kind", choices=KINDS, default="command")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--hours", type=float, help="length to reach")
    size.add_argument("--count", type=int, help="number of utterances to reach")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phrase", default="computer", help="wake phrase, for --kind wake")
    parser.add_argument(
        "--split", choices=SPLITS, default="train", help="whose voices, for --kind wake"
    )
    parser.add_argument("--out", type=Path, help="folder of the pool (default: in the cache)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")


def main(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        SynthesisError: An engine is missing, or the folder holds another pool.
    """
    # A polite kill leaves the pool whole, as an interrupt does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    recipe = Recipe.make(args.kind, args.seed, args.phrase, args.split)
    if recipe.phrase:
        bare_phones(recipe.phrase)  # Refuses unknown words before anything is made.
    root = cache.cache_root()
    voices = Voices(root)
    definition = recipe.definition(voices.versions(recipe.engines()))
    voices.close()
    folder = args.out or root / "pools" / f"{recipe.kind}-{cache.key(definition)}"
    with PoolWriter(folder, definition) as writer, _progress() as progress:
        before = writer.seconds
        total = args.hours * 3600 if args.hours is not None else args.count
        task = progress.add_task(recipe.kind, total=total, hours=before / 3600, speed=0.0, failed=0)

        def report(state: PoolWriter, failed: int) -> None:
            elapsed = progress.tasks[task].elapsed or 0.0
            progress.update(
                task,
                completed=state.seconds if args.hours is not None else state.next_index,
                hours=state.seconds / 3600,
                speed=(state.seconds - before) / max(elapsed, 1e-3),
                failed=failed,
            )

        failed = fill(
            writer,
            recipe,
            hours=args.hours,
            count=args.count,
            jobs=args.jobs,
            cache_folder=root,
            report=report,
        )
    print(f"{folder}: {writer.count} utterances, {writer.seconds / 3600:.2f} h, {failed} skipped")
    return 0


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[hours]:.2f} h"),
        TextColumn("{task.fields[speed]:.0f} x real time"),
        TextColumn("{task.fields[failed]} skipped"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        refresh_per_second=2,
    )
