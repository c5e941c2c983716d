"""``voice-converters evaluate``: what a bundle hears right, on real and on synthetic speech.

By default the recogniser is measured: word and character errors, exactly right sentences, all
slots right, by speaker. With --wake the wake word is: misses, false accepts, delays.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HELP = "measure a bundle on real and synthetic speech"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; those of the wake word only when it is asked for."""
    parser.add_argument("--wake", action="store_true", help="measure the wake word instead")
    if "--wake" in sys.argv:
        from converters.evaluation import wake

        wake.configure(parser)
        return
    add = parser.add_argument
    add("--bundle", type=Path, metavar="DIR", help="model bundle (default: the factory bundle)")
    add("--pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic test pool (may be repeated); each of its cells is a set")
    add("--real", type=Path, metavar="DIR", help="folder with manifests/*.jsonl and recordings")
    add("--corpus", action="append", default=[], metavar="lhotse:DIR:SPLIT",
        help="split of a corpus that lhotse has prepared (may be repeated)")
    add("--splits", nargs="+", default=["test"], metavar="SPLIT",
        help="splits of the real recordings (default: test)")
    add("--limit", type=int, metavar="N", help="at most N sentences of each cell and corpus")
    add("--float", dest="checkpoint", type=Path, metavar="RUN",
        help="also decode greedily, with the bundle and with the float weights of a training run, "
             "and compare pair by pair")
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    add("--errors", type=int, default=0, metavar="N", help="show the first N wrong sentences")


def main(args: argparse.Namespace) -> int:
    """Runs the evaluation; returns the exit status."""
    if args.wake:
        from converters.evaluation import wake

        return int(wake.run(args))
    return _Recogniser(args).run()


class _Recogniser:
    """One evaluation of the recogniser: sets, results, tables."""

    def __init__(self, args: argparse.Namespace) -> None:
        import firmware_models
        from converters.evaluation.sets import EvaluationSet, corpus_sets, pool_sets, real_sets

        self._args = args
        self._bundle = args.bundle or firmware_models.factory_bundle()
        self._sets: list[EvaluationSet] = []
        for pool in args.pool:
            self._sets += pool_sets(pool, args.limit)
        if args.real is not None:
            self._sets += real_sets(args.real, set(args.splits))
        self._sets += corpus_sets(args.corpus, args.limit)

    def run(self) -> int:
        from rich.console import Console
        from rich.progress import Progress

        from converters.evaluation.recogniser import (
            bundle_recogniser,
            evaluate_set,
            float_recogniser,
        )

        if not self._sets:
            print("error: there is nothing to recognise; give --pool, --real or --corpus",
                  file=sys.stderr)  # fmt: skip
            return 2
        console = Console()
        for chosen in self._sets:
            if chosen.note:
                console.print(chosen.note)
        results, greedy, references = [], [], []
        with Progress(console=console) as progress:
            amount = sum(len(chosen.items) for chosen in self._sets)
            task = progress.add_task("recognising", total=amount)
            recognise = bundle_recogniser(self._bundle, lambda: progress.advance(task))
            for chosen in self._sets:
                results.append(evaluate_set(chosen, recognise))
            if self._args.checkpoint is not None:
                task = progress.add_task("greedily", total=amount)
                recognise = bundle_recogniser(
                    self._bundle, lambda: progress.advance(task), greedy=True
                )
                greedy = [evaluate_set(chosen, recognise) for chosen in self._sets]
                task = progress.add_task("in float", total=len(self._sets))
                recognise = float_recogniser(self._args.checkpoint)
                for chosen in self._sets:
                    references.append(evaluate_set(chosen, recognise))
                    progress.advance(task)
        console.print(_table(results, "int8, as the board runs it"))
        content: dict[str, Any] = {
            "bundle": str(self._bundle), "notes": [s.note for s in self._sets if s.note],
            "results": [r.as_json() for r in results],
        }  # fmt: skip
        if references:
            console.print(_table(greedy, "int8, greedy, without a language model"))
            console.print(_table(references, "float32, greedy, without a language model"))
            content["greedy"] = [r.as_json() for r in greedy]
            content["float"] = [r.as_json() for r in references]
            content["int8_against_float"] = self._compare(console, references, greedy)
        self._show_errors(console, results)
        if self._args.json is not None:
            self._args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return 0

    def _compare(self, console: Any, references: list[Any], results: list[Any]) -> dict[str, Any]:
        from converters.evaluation.recogniser import paired_change

        before = [c for r in references for c in r.per_utterance]
        after = [c for r in results for c in r.per_utterance]
        change, low, high = paired_change(before, after)
        console.print(
            f"int8 against float: word errors {change:+.2%} relative"
            f" ({low:+.2%} to {high:+.2%}), paired over {len(before)} sentences"
        )
        return {"relative_change": change, "interval": [low, high], "sentences": len(before)}

    def _show_errors(self, console: Any, results: list[Any]) -> None:
        for chosen, result in zip(self._sets, results, strict=True):
            left = self._args.errors
            for item, text in zip(chosen.items, result.texts, strict=True):
                if left > 0 and item.text != text:
                    console.print(f"[dim]{result.name}[/]  {item.text}  ->  {text or '-'}")
                    left -= 1


def _table(results: list[Any], title: str) -> Any:
    from rich.table import Table

    table = Table(title=title)
    for column in ("set", "word errors", "95 %", "characters", "sentences right",
                   "all slots right", "worst tenth of speakers"):  # fmt: skip
        table.add_column(column, justify="left" if column == "set" else "right")
    for result in results:
        low, high = result.interval
        table.add_row(
            result.name,
            f"{result.words.errors} of {result.words.length}, {result.words.rate:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{result.characters.rate:.1%}",
            str(result.sentences),
            "-" if result.slots is None else str(result.slots),
            f"{result.worst_tenth:.1%} ({len(result.by_speaker)} speakers)",
        )
    return table
