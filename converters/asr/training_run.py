"""One call of `train-asr`: material, progress display, evaluations and log."""

from __future__ import annotations

import argparse
import json
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from agent.hearing.features import MELS
from converters.asr import methods
from converters.asr.development import DevelopmentSet, closing_rates, word_error_rates
from converters.asr.encoder import level
from converters.asr.rows import RowBuilder, RowRecipe
from converters.asr.supply import Supply
from converters.asr.train import Trainer, train
from converters.asr.units import Sounds, Units
from converters.asr.word_graph import WordGraph
from converters.synthesis.text import TextGenerator

_LONG_ROWS = (200, 270, 360, 450, 540)
"""Frames of 40 ms: an utterance of 16 s, said slowly, has about 500."""
_WORDS_SEED = 7


class Run:
    """What happens around the steps of a training.

    Args:
        args: of the command.
        trainer: what learns.
        supply: what it learns from.
        sets: what it is watched on; none on ranks other than the first.
        units: what it writes.
        rank: of this process.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        trainer: Trainer,
        supply: Supply,
        sets: list[DevelopmentSet],
        units: Units,
        rank: int,
    ) -> None:
        self._args = args
        self._trainer = trainer
        self._supply = supply
        self._sets = sets
        self._units = units
        self._rank = rank
        self._console = Console()
        self._rates: dict[str, float] = {}

    def _rows(self) -> RowBuilder:
        recipe = RowRecipe(
            budget=self._args.batch_frames,
            long_frames=_LONG_ROWS if self._args.corpus else (),
            real_share=self._args.real_share,
            wake_share=self._args.context_share,
        )
        return RowBuilder(self._supply.material(), recipe, self._args.seed, self._units)

    def measure_normalisation(self) -> None:
        """Mean and deviation of each band over a few batches."""
        batches = (torch.from_numpy(self._rows().batch(i).frames) for i in range(4))
        hops = torch.cat([(frames - level(frames)).reshape(-1, MELS) for frames in batches])
        self._trainer.set_normalisation(hops.mean(0), hops.std(0))

    def go(self) -> None:
        """Trains with a progress bar and an evaluation at every checkpoint."""
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

            def on_checkpoint() -> RowBuilder:
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
        if self._rank != 0 or not self._sets:
            return
        graph = self._word_graph() if isinstance(self._units, Sounds) else None
        if self._args.language is None and graph is None:
            return
        search = methods.closing_search(self._args)
        rates = closing_rates(self._trainer.model, self._sets, search, self._units, graph)
        for name, each in rates.items():
            told = (
                f"{what} {value:.2f}" if what.endswith("_s") else f"{what} {value:.1%}"
                for what, value in each.items()
            )
            self._console.print(f"{name}: {', '.join(told)}")
        self._log(step=self._trainer.progress.step, closing=rates)

    def _word_graph(self) -> WordGraph:
        """Counted from made-up sentences, and from what real people said, as if that were many."""
        count = self._args.words
        real = [clip.text for clip in self._supply.material().real if " " in clip.text]
        often = -(-count // max(1, 20 * len(real)))
        generator = TextGenerator(_WORDS_SEED, "train")
        made_up = (generator.sentence().text for _ in range(count))
        assert isinstance(self._units, Sounds)
        return WordGraph(self._units, [*made_up, *(real * often)])

    def _evaluate(self) -> None:
        if self._rank != 0 or not self._sets:
            return
        self._rates = word_error_rates(self._trainer.model, self._sets, self._units)
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
