"""One run of `train-wake` from what was given to the files it writes.

    pools, recordings, folders ─▶ training and tuning utterances ─▶ feature bank ─▶ training
        ─▶ .tflite ─▶ threshold ─▶ wake.json, report.json, report.md, report.png

Each stage leaves files that the next attempt goes on from.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent.bundle.runtime import Model
from agent.hearing.wake_word import own_word
from converters.wake import own_pools
from converters.wake.detection import Rule
from converters.wake.export import wake_tflite
from converters.wake.feature_bank import Entry, bank_folder, build_bank, read_bank
from converters.wake.folders import folder_utterances, kept_back
from converters.wake.judging import judge
from converters.wake.model import WakeConfig
from converters.wake.pools import pool_utterances
from converters.wake.recipe import (
    Material,
    augmenter_with_rooms,
    gather,
    plan_bank,
    word_length_frames,
)
from converters.wake.recordings import Recording, read_manifests
from converters.wake.report import draw_curves, markdown, reason, wake_entry, write_json
from converters.wake.streams import Mixture
from converters.wake.training import Progress, Schedule, Trainer
from converters.wake.tuning_set import TuningSet
from converters.wake.utterances import Utterance
from converters.wake.warm_start import config_of

_TIMING_STEPS = 40
_MINUTES, _MINUTES_FROM = 20.0, 8.0
_RATE_FROM = 6e-4
"""Peak learning rate from a trained file: a fifth of what untrained weights get."""


class Screen(Protocol):
    """Where a run says how far it is."""

    def show(self, name: str, done: float, note: str = "") -> None:
        """A bar by its name, from 0 to 1."""

    def line(self, text: str) -> None:
        """A line that stays."""


class WholeRun:
    """Trains, exports, judges and reports.

    Args:
        args: as `converters.commands.train_wake` declares them.
        screen: where progress is shown.
    """

    def __init__(self, args: argparse.Namespace, screen: Screen) -> None:
        self._args, self._screen = args, screen
        start = args.start
        default = "computer" if start is None else own_word(start).phrase
        self._phrase = " ".join((args.phrase or default).lower().split())
        self._name = self._phrase.replace(" ", "_")
        self._out: Path = args.out

    def run(self) -> dict[str, Any]:
        """Everything; returns the report."""
        self._out.mkdir(parents=True, exist_ok=True)
        args = self._args
        recordings = list(read_manifests(args.real, self._phrase)) if args.real else []
        material = self._material(recordings)
        entries = self._bank(material, recordings)
        tuning = TuningSet(material.tuning, args.seed, self._counter("tuning set"))
        trainer = self._trainer(entries, tuning)
        self._train(trainer)
        return self._finish(trainer, entries, tuning)

    # -- sound -----------------------------------------------------------------------------

    def _material(self, recordings: list[Recording]) -> Material:
        args = self._args
        words, speech, choosing = self._pools()
        pools = [u for folder in words for u in pool_utterances(folder, self._phrase)]
        for folder in speech:
            pools += pool_utterances(folder, self._phrase, args.negatives_hours)
        tuning = [u for folder in choosing for u in pool_utterances(folder, self._phrase)]
        material = gather(recordings, pools, tuning)
        own, chosen_by = kept_back(_folders(args.positives, positive=True))
        own += _folders(args.negatives, positive=False)
        return Material(material.training + own, material.tuning + chosen_by)

    def _pools(self) -> tuple[list[Path], list[Path], list[Path]]:
        """Folders of wake words, of other speech, and to choose by; made where none are given."""
        args = self._args
        if args.pool or args.negatives_pool or args.words == 0:
            return args.pool, args.negatives_pool, args.tuning_pool
        wanted = own_pools.orders(self._phrase, args.words, args.negatives_hours, args.seed)

        def counter(name: str) -> Callable[[float], None]:
            return lambda done: self._screen.show(f"speech: {name}", done)

        made = own_pools.make(wanted, self._out / "pools", args.jobs, counter)
        return [made["words"]], [made["speech"]], [made["words_dev"], made["speech_dev"]]

    def _bank(self, material: Material, recordings: list[Recording]) -> list[Entry]:
        args = self._args
        plan = plan_bank(material.training)
        augmenter = augmenter_with_rooms(recordings)
        entries = []
        # Two banks: when a pool grows, the recordings' features are still good.
        for name, real in (("recordings", True), ("synthesis", False)):
            part = [planned for planned in plan if planned.utterance.real is real]
            folder = bank_folder(args.cache or self._out / "cache", part, args.seed)
            build_bank(folder, part, augmenter, args.seed, self._counter(f"features: {name}"))
            entries += read_bank(folder)
        return entries

    # -- training --------------------------------------------------------------------------

    def _trainer(self, entries: list[Entry], tuning: TuningSet) -> Trainer:
        """A new or resumed trainer; minutes become steps by timing a few of them once."""
        args = self._args
        config = WakeConfig(args.channels) if args.start is None else config_of(args.start)

        def make(steps: int, checkpoint: Path | None) -> Trainer:
            return Trainer(
                entries=entries,
                tuning=tuning,
                config=config,
                schedule=Schedule(steps)
                if args.start is None
                else Schedule(steps, peak_rate=_RATE_FROM, mine_from=0.0, evaluations=6),
                mixture=Mixture(),
                seed=args.seed,
                checkpoint=checkpoint,
                start=args.start,
            )

        steps = args.steps
        length = self._out / "steps.json"
        if steps is None and length.exists():
            steps = int(json.loads(length.read_text(encoding="utf-8"))["steps"])
        if steps is None:
            minutes = args.minutes or (_MINUTES if args.start is None else _MINUTES_FROM)
            trial = make(10**6, None)
            trial.run(until=8)
            began = time.monotonic()
            trial.run(until=8 + _TIMING_STEPS)
            steps = max(100, int(minutes * 60 * _TIMING_STEPS / (time.monotonic() - began)))
            length.write_text(json.dumps({"steps": steps, "minutes": minutes}), encoding="utf-8")
        return make(steps, self._out / "checkpoint.pt")

    def _train(self, trainer: Trainer) -> None:
        shown: object = None

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
            self._screen.show("training", progress.step / progress.steps, note)
            if progress.standing is not shown:
                shown = progress.standing
                self._screen.line(f"step {progress.step} of {progress.steps}: {note}")

        trainer.run(show)

    # -- what is left ----------------------------------------------------------------------

    def _finish(self, trainer: Trainer, entries: list[Entry], tuning: TuningSet) -> dict[str, Any]:
        file = self._out / f"{self._name}.tflite"
        file.write_bytes(wake_tflite(trainer.best, self._phrase))
        judged = judge(Model(file), tuning, Rule(0.5))
        entry = wake_entry(self._phrase, f"wake/{file.name}", judged, word_length_frames(entries))
        curves = judged.figures.pop("curves")
        report = {
            "entry": entry,
            "reason": reason(judged),
            "tuning": judged.figures,
            "bytes": file.stat().st_size,
            "hours_in_bank": sum(len(e.hops) for e in entries) / 360_000,
            "steps": trainer.step,
            "history": trainer.history,
        }
        write_json(self._out / "wake.json", entry)
        write_json(self._out / "report.json", report | {"curves": curves})
        (self._out / "report.md").write_text(markdown(report, curves), encoding="utf-8")
        title = f'"{self._phrase}"'
        draw_curves(self._out / "report.png", curves, judged.rule.threshold, title)
        return report

    def _counter(self, name: str) -> Callable[[int, int], None]:
        return lambda done, of: self._screen.show(name, done / max(of, 1))


def _folders(folders: list[Path], *, positive: bool) -> list[Utterance]:
    return [u for folder in folders for u in folder_utterances(folder, positive=positive)]
