"""One run of `train-wake` from what was given to the files it writes.

    pools, recordings, folders ─▶ training and tuning utterances ─▶ feature bank ─▶ training
        ─▶ .tflite ─▶ threshold ─▶ wake.json, report.json, report.md, report.png

Each stage leaves files that the next attempt goes on from.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import firmware_models
from agent.bundle.manifest import load_bundle
from agent.bundle.runtime import Model
from agent.errors import UnreadableAudioError
from agent.hearing.wake_word import own_word
from converters import cache
from converters.wake import own_pools
from converters.wake.banks import Sources, build_banks
from converters.wake.detection import Rule
from converters.wake.export import wake_tflite
from converters.wake.feature_bank import Entry
from converters.wake.folders import folder_utterances, kept_back
from converters.wake.judging import judge
from converters.wake.model import WakeConfig
from converters.wake.music import music_utterances
from converters.wake.pools import pool_utterances
from converters.wake.recipe import Material, augmenter_with_rooms, gather, word_length_frames
from converters.wake.recordings import Recording, Role, folded, read_manifests
from converters.wake.report import draw_curves, markdown, reason, wake_entry, write_json
from converters.wake.streams import mixture_for
from converters.wake.training import Progress, Schedule, Trainer
from converters.wake.tuning_set import TuningSet
from converters.wake.utterances import Utterance
from converters.wake.warm_start import config_of

_TUNING_MUSIC, _FURTHER_MUSIC = 20, 6
"""For so many pieces of music to train on, there is one to choose by, one for the threshold."""
_TUNING_SEED = 1 << 20
_TIMING_STEPS = 40
_STEPS, _STEPS_OTHER, _STEPS_SAME = 8000, 1500, 2000
"""From nothing; from the model of another word; on from that of the same."""
_RATE_OTHER, _RATE_SAME = 7e-4, 6e-4
"""Peak learning rates for the latter two. A new phrase has synthetic words alone: what the model of
another one knows of people is lost step by step, while synthetic dev words still get better."""


def start_of(args: argparse.Namespace) -> tuple[Path | None, str]:
    """The file to begin with, if any, and the phrase that it knows."""
    if args.start is not None:
        return args.start, own_word(args.start).phrase
    if args.from_scratch:
        return None, ""
    bundle = firmware_models.factory_bundle()
    entry = load_bundle(bundle).manifest.wake[0]
    return bundle / entry.file, entry.phrase


def schedule_for(steps: int, *, fresh: bool, same: bool, rate: float | None) -> Schedule:
    """How fast to go, from nothing, on with the same word, or over to another."""
    if fresh:
        return Schedule(steps, peak_rate=rate or Schedule.peak_rate)
    evaluations = max(6, steps // 500)
    if same:
        return Schedule(steps, peak_rate=rate or _RATE_SAME, mine_from=0.0, evaluations=evaluations)
    return Schedule(steps, peak_rate=rate or _RATE_OTHER, warm_up=100, evaluations=evaluations)


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
        if args.fold and (args.real is None or args.phrase_only):
            raise UnreadableAudioError(
                "--fold deals real calls: give --real, and leave --phrase-only out"
            )
        self._args, self._screen = args, screen
        self._start, self._known = start_of(args)
        default = "computer" if args.start is None else self._known
        self._phrase = " ".join((args.phrase or default).lower().split())
        self._name = self._phrase.replace(" ", "_")
        self._out: Path = args.out
        self._shared: Path = args.cache or cache.cache_root() / "wake"

    def run(self) -> dict[str, Any]:
        """Everything; returns the report."""
        self._out.mkdir(parents=True, exist_ok=True)
        words, sources, choosing = self._pools()
        recordings = self._recordings()
        material = self._material(recordings, words, sources, choosing)
        entries = build_banks(
            material.training,
            sources,
            augmenter_with_rooms(recordings),
            self._shared,
            self._out / "cache",
            self._counter,
            self._args.jobs,
        )
        further = self._further(material)
        tuning = TuningSet(material.tuning, self._args.seed, self._counter("tuning set"))
        trainer = self._trainer(entries, tuning)
        self._train(trainer)
        return self._finish(trainer, entries, tuning, further)

    # -- sound -----------------------------------------------------------------------------

    def _recordings(self) -> list[Recording]:
        args = self._args
        recordings = list(read_manifests(args.real, self._phrase)) if args.real else []
        if args.fold:
            recordings = list(folded(recordings, args.fold))
        if args.phrase_only:
            recordings = [r for r in recordings if r.role is not Role.POSITIVE]
        return recordings

    def _pools(self) -> tuple[list[Path], Sources, list[Path]]:
        """Pools of wake words, what serves any phrase, and pools to choose by.

        What is not given is made, unless nothing is to be made.
        """
        args = self._args
        words, speech, choosing = args.pool, args.negatives_pool, args.tuning_pool
        makes = args.words > 0

        def make(wanted: list[own_pools.Order], folder: Path) -> list[Path]:
            return own_pools.make(
                wanted,
                folder,
                args.jobs,
                lambda name: lambda done: self._screen.show(f"speech: {name}", done),
            )

        if makes and not words:
            words, *own = make(
                own_pools.orders(self._phrase, args.words, args.seed), self._out / "pools"
            )
            words, choosing = [words], [*choosing, *own]
        if makes and not speech:
            orders = own_pools.shared_orders(args.negatives_hours, args.seed)
            made, dev = make(orders, self._shared)
            speech, choosing = [made], [*choosing, dev]
        sources = Sources(args.real, speech, args.negatives_hours, args.music, args.seed)
        return words, sources, choosing

    def _material(
        self,
        recordings: list[Recording],
        words: list[Path],
        sources: Sources,
        choosing: list[Path],
    ) -> Material:
        args = self._args
        pools = [u for folder in words for u in pool_utterances(folder, self._phrase)]
        for folder in sources.speech:
            pools += pool_utterances(folder, self._phrase, sources.hours)
        tuning = [u for folder in choosing for u in pool_utterances(folder, self._phrase)]
        material = gather(recordings, pools, tuning)
        own, chosen_by = kept_back(_folders(args.positives, positive=True))
        own += _folders(args.negatives, positive=False)
        own += music_utterances(sources.music, args.seed)
        chosen_by += music_utterances(sources.music // _TUNING_MUSIC, args.seed + _TUNING_SEED)
        return Material(material.training + own, material.tuning + chosen_by)

    def _further(self, material: Material) -> list[Utterance]:
        """What only the threshold rests on: speech and music that nothing else has seen."""
        args = self._args
        known = {u.key for u in material.training + material.tuning}
        speech = [
            u
            for folder in args.threshold_pool
            for u in pool_utterances(folder, self._phrase)
            if u.role is Role.SPEECH and u.key not in known
        ]
        music = args.music // _FURTHER_MUSIC
        return speech + music_utterances(music, args.seed + 2 * _TUNING_SEED)

    # -- training --------------------------------------------------------------------------

    def _trainer(self, entries: list[Entry], tuning: TuningSet) -> Trainer:
        """A new or resumed trainer; minutes become steps by timing a few of them once."""
        args, start = self._args, self._start
        config = WakeConfig(args.channels) if start is None else config_of(start)
        same = self._known == self._phrase

        def make(steps: int, checkpoint: Path | None) -> Trainer:
            return Trainer(
                entries=entries,
                tuning=tuning,
                config=config,
                schedule=schedule_for(steps, fresh=start is None, same=same, rate=args.rate),
                mixture=mixture_for(entries),
                seed=args.seed,
                checkpoint=checkpoint,
                start=start,
                same_word=same,
            )

        steps = args.steps
        if steps is None and args.minutes is not None:
            steps = self._timed(args.minutes, make)
        if steps is None:
            steps = _STEPS if start is None else _STEPS_SAME if same else _STEPS_OTHER
        return make(steps, self._out / "checkpoint.pt")

    def _timed(self, minutes: float, make: Callable[[int, Path | None], Trainer]) -> int:
        """Steps that fit into minutes, timed once and kept, so that a run can be resumed."""
        length = self._out / "steps.json"
        if length.exists():
            return int(json.loads(length.read_text(encoding="utf-8"))["steps"])
        trial = make(10**6, None)
        trial.run(until=8)
        began = time.monotonic()
        trial.run(until=8 + _TIMING_STEPS)
        steps = max(100, int(minutes * 60 * _TIMING_STEPS / (time.monotonic() - began)))
        length.write_text(json.dumps({"steps": steps, "minutes": minutes}), encoding="utf-8")
        return steps

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

    def _finish(
        self,
        trainer: Trainer,
        entries: list[Entry],
        tuning: TuningSet,
        further: list[Utterance],
    ) -> dict[str, Any]:
        file = self._out / f"{self._name}.tflite"
        file.write_bytes(wake_tflite(trainer.best, self._phrase))
        judged = judge(Model(file), tuning, Rule(0.5), self._counted(further))
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

    def _counted(self, utterances: list[Utterance]) -> Iterator[Utterance]:
        count = self._counter("threshold")
        for done, utterance in enumerate(utterances):
            yield utterance
            count(done + 1, len(utterances))

    def _counter(self, name: str) -> Callable[[int, int], None]:
        return lambda done, of: self._screen.show(name, done / max(of, 1))


def _folders(folders: list[Path], *, positive: bool) -> list[Utterance]:
    return [u for folder in folders for u in folder_utterances(folder, positive=positive)]
