"""``voice-converters train-asr``: from pools and recordings to a recogniser's weights.

Several GPUs (or processes) share the work with torchrun:

    torchrun --nproc-per-node 4 -m converters.cli train-asr --corpus lhotse:DIR --out RUN
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from converters.asr import compression, methods

HELP = "train the recogniser; interrupt and repeat the command to go on"

_LONG_ROWS = (200, 270, 360, 450, 540)
"""Frames of 40 ms: an utterance of 16 s, said slowly, has about 500."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("--pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic command speech made by `synthesise` (may be repeated)")
    add("--corpus", action="append", default=[], metavar="lhotse:DIR[:SPLIT]",
        help="corpus that lhotse has prepared: its manifests' folder, and one split of it "
             "(default: those called train; may be repeated)")
    add("--dev-corpus", action="append", default=[], metavar="lhotse:DIR:SPLIT",
        help="split to watch the training on (may be repeated)")
    add("--dev-utterances", type=int, default=150, metavar="N",
        help="at most N of the development pool and of each corpus (default: %(default)s)")
    add("--wake-pool", type=Path, action="append", default=[], metavar="DIR",
        help="synthetic wake words: heard before commands, never transcribed")
    add("--dev-pool", type=Path, metavar="DIR", help="a voice that is never trained on")
    add("--real", type=Path, metavar="DIR",
        help="folder with manifests/*.jsonl and recordings; without it: synthetic speech only")
    add("--phrase", default="computer", help="the wake phrase (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="checkpoint, log and features")
    add("--minutes", type=float, default=70.0,
        help="time to train, over all restarts (default: %(default)s)")
    add("--steps", type=int, metavar="N",
        help="train for N steps instead: comparable on a busy machine")
    add("--features", type=Path, metavar="DIR",
        help="where feature shards are kept (default: OUT/features)")
    add("--from", dest="start", type=Path, metavar="DIR",
        help="start from the weights of a bundle or of another run")
    add("--hidden", type=int, default=256, help="width of the encoder (default: %(default)s)")
    add("--layers", type=int, default=4, help="LSTM layers (default: %(default)s)")
    add("--rate", type=float, default=1.2e-3, help="peak learning rate (default: %(default)s)")
    add("--warm-steps", type=int, default=300, help="steps of rising rate (default: %(default)s)")
    add("--dropout", type=float, default=0.1,
        help="share of channels dropped (default: %(default)s)")
    add("--hear-share", type=float, metavar="SHARE",
        help="share of the time in which the encoder learns phones alone (default: 0.25, and 0 "
             "with --from)")
    add("--phone-weight", type=float, default=0.3,
        help="weight of the phone loss beside the transducer's (default: %(default)s)")
    add("--real-share", type=float, default=0.2,
        help="share of real utterances (default: %(default)s)")
    add("--batch-frames", type=int, default=4000,
        help="40 ms frames in a batch over all processes (default: %(default)s)")
    add("--copies", type=int, default=3, help="augmented copies of each synthetic utterance")
    add("--corpus-copies", type=int, default=1,
        help="augmented copies of each utterance of a corpus, 46 MB an hour (default: %(default)s)")
    add("--preparers", type=int, default=1, metavar="N",
        help="processes that make features in the background (default: %(default)s)")
    add("--builders", type=int, default=0, metavar="N",
        help="processes that make batches ahead: with a GPU, all cores but two (default: none)")
    add("--threads", type=int, default=os.cpu_count() or 1, help="compute threads")
    add("--device", default="", help="cpu or cuda (default: cuda where there is one)")
    add("--seed", type=int, default=1)
    add("--evaluate-minutes", type=float, default=6.0,
        help="between checkpoints with an evaluation (default: %(default)s)")
    compression.add_options(parser)
    methods.add_options(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the training; returns the exit status."""
    import torch
    from torch import distributed

    from converters.asr.development import development_sets
    from converters.asr.model import Shape
    from converters.asr.prepare import Plan
    from converters.asr.supply import Supply
    from converters.asr.train import Schedule, Trainer
    from converters.corpora.selection import chosen_splits, indexed

    if not args.pool and not args.corpus:
        print("error: there is nothing to learn from; give --pool or --corpus", file=sys.stderr)
        return 2
    if not args.pool and args.hear_share:
        print("error: --hear-share needs a --pool: only there is known which phones are heard",
              file=sys.stderr)  # fmt: skip
        return 2
    if args.mwer_weight and args.start is None:
        print("error: --mwer-weight needs --from: it refines what can already read",
              file=sys.stderr)  # fmt: skip
        return 2
    weights = None
    shape = Shape(hidden=args.hidden, layers=args.layers, long_memory=args.long_memory)
    if args.start is not None:
        shape, weights = _start(args.start)
    if args.mwer_weight and shape.long_memory:
        print("error: --mwer-weight reads with the board's beam, which knows predictors of two "
              "labels only; --from has a long memory", file=sys.stderr)  # fmt: skip
        return 2
    splits = chosen_splits(args.corpus, args.dev_corpus)
    rank = int(os.environ.get("RANK", "0"))
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if "RANK" in os.environ:
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    torch.set_num_threads(args.threads)

    folder = args.features or args.out / "features"
    if rank == 0:
        indexed(splits, folder, print)
    plan = Plan(
        folder=folder,
        pools=tuple(args.pool),
        wake_pools=tuple(args.wake_pool),
        real=args.real,
        wake_phrase=args.phrase,
        copies=args.copies,
        corpora=tuple(split.digest() for split in splits),
        corpus_copies=args.corpus_copies,
        seed=args.seed,
    )
    supply = Supply(plan, args.preparers if rank == 0 else 0)

    # A run brings its simple joiner along, a bundle does not.
    windows_known = args.start is not None and (args.start / "checkpoint.pt").exists()
    hear_share = args.hear_share
    if hear_share is None:
        hear_share = 0.25 if weights is None and args.pool else 0.0
    schedule = Schedule(
        minutes=args.minutes,
        steps=args.steps,
        average=args.average,
        peak_rate=args.rate,
        warm_steps=args.warm_steps,
        hear_share=hear_share,
        phone_weight=args.phone_weight,
        pruned_from=0 if windows_known else Schedule.pruned_from,
    )
    trainer = Trainer(
        args.out, shape, schedule, device=device, seed=args.seed, dropout=args.dropout,
        weights=weights, methods=methods.chosen(args), compression=compression.chosen(args),
    )  # fmt: skip
    sets = []
    if rank == 0:
        sets = development_sets(args.real, args.dev_pool, args.dev_utterances, args.dev_corpus)
    run = _Run(args, trainer, supply, sets, rank)
    supply.wait()
    if not trainer.resume() and weights is None:
        run.measure_normalisation()
    run.go()
    supply.stop()
    if distributed.is_initialized():
        distributed.destroy_process_group()
    return 0


def _start(path: Path) -> tuple[Any, dict[str, Any]]:
    """Shape and state of a bundle or of a run's averaged model."""
    if (path / "checkpoint.pt").exists():
        from converters.asr.checkpoint import load_recogniser

        model = load_recogniser(path)
        return model.shape, model.state_dict()
    from converters.export.warm_start import read_weights

    return read_weights(path)


class _Run:
    """One call of the command: material, progress display, evaluations, log."""

    def __init__(
        self, args: argparse.Namespace, trainer: Any, supply: Any, sets: list[Any], rank: int
    ) -> None:
        from rich.console import Console

        self._args = args
        self._trainer = trainer
        self._supply = supply
        self._sets = sets
        self._rank = rank
        self._console = Console()
        self._rates: dict[str, float] = {}

    def _rows(self) -> Any:
        from converters.asr.rows import RowBuilder, RowRecipe

        recipe = RowRecipe(
            budget=self._args.batch_frames,
            long_frames=_LONG_ROWS if self._args.corpus else (),
            real_share=self._args.real_share,
            wake_share=self._args.context_share,
        )
        return RowBuilder(self._supply.material(), recipe, self._args.seed)

    def measure_normalisation(self) -> None:
        """Mean and deviation of each band over a few batches."""
        import torch

        from agent.hearing.features import MELS
        from converters.asr.model import level

        batches = (torch.from_numpy(self._rows().batch(i).frames) for i in range(4))
        hops = torch.cat([(frames - level(frames)).reshape(-1, MELS) for frames in batches])
        self._trainer.set_normalisation(hops.mean(0), hops.std(0))

    def go(self) -> None:
        """Trains with a progress bar and an evaluation at every checkpoint."""
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from converters.asr.train import train

        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("step {task.fields[step]}  loss {task.fields[loss]}  "
                       "{task.fields[speed]} audio s/s  word errors {task.fields[rates]}"),
        )  # fmt: skip
        with Progress(*columns, console=self._console, disable=self._rank != 0) as bar:
            task = bar.add_task(
                "training", total=1.0, step=0, loss="-", speed="-", rates="-"
            )
            window: list[tuple[dict[str, float], float, float]] = []
            seen = self._trainer.progress.source_s

            def on_step(losses: dict[str, float], seconds: float) -> None:
                nonlocal seen
                state = self._trainer.progress
                window.append((losses, seconds, state.source_s - seen))
                seen = state.source_s
                del window[:-100]
                # Methods' losses begin with the transducer: a window may hold steps without them.
                mean = {
                    name: sum(w[0].get(name, 0.0) for w in window) / len(window)
                    for name in losses
                }
                loss, phones = mean.pop("pruned"), mean.pop("phones")
                speed = sum(w[2] for w in window) / sum(w[1] for w in window)
                bar.update(
                    task, completed=self._trainer.fraction, step=state.step,
                    loss=f"{loss:.3f}" if state.transducer_steps else f"{phones:.3f} (phones)",
                    speed=f"{speed:.0f}", rates=self._rates_text(),
                )  # fmt: skip
                if state.step % 100 == 0 and self._rank == 0:
                    self._log(step=state.step, minutes=round(state.seconds / 60, 2),
                              loss=round(loss, 4), phones=round(phones, 4),
                              audio_s_per_s=round(speed, 1),
                              **{name: round(each, 4) for name, each in mean.items()})  # fmt: skip

            def on_checkpoint() -> Any:
                self._supply.rescan()
                self._tell_news()
                self._evaluate()
                return self._rows()

            train(
                self._trainer,
                self._rows(),
                on_step=on_step,
                every_minutes=self._args.evaluate_minutes,
                on_checkpoint=on_checkpoint,
                builders=self._args.builders,
            )
        self._tell_news()
        self._evaluate()
        self._close()

    def _close(self) -> None:
        """Decodes the development sets as the board does, where there is a language model."""
        from converters.asr.development import closing_rates

        if self._rank != 0 or not self._sets or self._args.language is None:
            return
        search = methods.closing_search(self._args)
        rates = closing_rates(self._trainer.model, self._sets, search)
        for name, each in rates.items():
            told = (
                f"{what} {value:.2f}" if what.endswith("_s") else f"{what} {value:.1%}"
                for what, value in each.items()
            )
            self._console.print(f"{name}: {', '.join(told)}")
        self._log(step=self._trainer.progress.step, closing=rates)

    def _evaluate(self) -> None:
        from converters.asr.development import word_error_rates

        if self._rank != 0 or not self._sets:
            return
        self._rates = word_error_rates(self._trainer.model, self._sets)
        state = self._trainer.progress
        hours = state.source_s / 3600.0
        rates = {name: round(rate, 4) for name, rate in self._rates.items()}
        self._log(step=state.step, hours_seen=round(hours, 1), word_error_rate=rates)
        self._console.print(
            f"step {state.step}: {hours:.0f} h heard, word errors {self._rates_text()}"
        )

    def _tell_news(self) -> None:
        for sentence in self._supply.news() if self._rank == 0 else ():
            self._log(news=sentence)
            self._console.print(sentence)

    def _rates_text(self) -> str:
        return "  ".join(f"{name} {rate:.1%}" for name, rate in self._rates.items()) or "-"

    def _log(self, **record: Any) -> None:
        self._args.out.mkdir(parents=True, exist_ok=True)
        with (self._args.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
