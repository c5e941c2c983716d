"""Misses, false accepts, delays and CPU of a wake word, played through the classes of the agent.

    voice-converters evaluate --wake --bundle firmware_models/command_en --real DIR
        [--positives-pool DIR] [--negatives-pool DIR] [--noise-hours 10] [--cpu] [--json FILE]

What is played is told in `wake_audio`. `--model` takes a ``.tflite`` file with a ``wake.json``
beside it, fresh from `train-wake`, in place of a bundle. Engines of others that are installed and
know the phrase hear the very same streams.

With `--second-stage` the recogniser of the bundle is asked wherever the score rises, and tables
show what its doubts would save and cost at any threshold; see `wake_second_stage`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.bundle.manifest import load_bundle
from agent.bundle.runtime import Model
from agent.bundle.schema import WakeEntry
from agent.config import WakeConfig
from agent.errors import BundleFileError, UnreadableAudioError
from agent.hearing.features import SAMPLE_RATE
from agent.hearing.second_stage import load_second_stage
from agent.hearing.wake_word import WakeWord, wake_settings
from converters.evaluation.wake_audio import Group, Sources, WakeAudio, never_trained
from converters.evaluation.wake_counts import (
    Listener,
    Player,
    Result,
    count_negatives,
    count_positives,
    together,
)
from converters.evaluation.wake_cpu import Cpu, measure
from converters.evaluation.wake_peers import installed_peers
from converters.wake.recordings import folded, read_manifests
from converters.wake.scenes import Scene

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PEER_THRESHOLDS = (0.5, 0.9, 0.97)
"""Other engines are heard at each of these, since none of theirs is ours."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the wake word's evaluation."""
    add = parser.add_argument
    add("--bundle", type=Path, help="model bundle (default: the factory bundle)")
    add("--model", type=Path, help="a wake .tflite with wake.json beside it, instead of a bundle")
    add("--real", type=Path, metavar="DIR", help="folder with manifests/*.jsonl and recordings")
    add(
        "--positives-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="wake pool of another seed or voice: its words count as misses, the rest as below"
        " (may be repeated)",
    )
    add(
        "--negatives-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="pool of another seed or voice: speech counts in events an hour, the near misses of a"
        " wake pool in shares (may be repeated)",
    )
    add(
        "--noise-hours",
        type=float,
        default=0.0,
        metavar="H",
        help="also loop real noise and music for so long (default: not at all)",
    )
    add("--threshold", type=float, metavar="T", help="judge with this one instead of its own")
    add("--splits", nargs="+", default=["dev", "test"], help="of the real words (default: both)")
    add("--fold", type=int, choices=(1, 2),
        help="instead of --splits: the real words of those speakers that `train-wake --fold` of"
        " this number left out")  # fmt: skip
    add(
        "--second-stage",
        action="store_true",
        help="instead: what the doubts of the bundle's recogniser save and cost at any threshold;"
        " dev words, recordings and pools that are not of split test choose, the others are"
        " counted",
    )
    add(
        "--excerpts",
        type=Path,
        metavar="DIR",
        help="with --second-stage, keep here what the first stage hears: another recogniser is then"
        " asked within two minutes (remove it when the sound is made in another way)",
    )
    add("--cpu", action="store_true", help="also measure CPU: ten minutes, five times, in turn")
    add("--cpu-minutes", type=float, default=10.0, help=argparse.SUPPRESS)
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the tables and writes the JSON."""
    if args.real is None and not args.positives_pool and not args.negatives_pool:
        raise UnreadableAudioError(
            "nothing to play: give --real, --positives-pool or --negatives-pool"
        )
    if args.fold and (args.real is None or args.second_stage):
        raise UnreadableAudioError(
            "--fold deals real calls: give --real, and leave --second-stage out"
        )
    return _second_stage(args) if args.second_stage else _counts(args)


def _counts(args: argparse.Namespace) -> int:
    from converters.evaluation.wake_tables import as_json, print_cpu, print_tables

    entry, file = _word(args)
    recordings = list(read_manifests(args.real, entry.phrase)) if args.real else []
    if args.fold:
        recordings = list(folded(recordings, args.fold))
    sources = Sources(
        recordings,
        never_trained(recordings),
        args.positives_pool,
        args.negatives_pool,
        args.noise_hours,
        ("test",) if args.fold else args.splits,
    )
    audio = WakeAudio(sources, entry.phrase)
    listener = Listener(WakeWord(Model(file), wake_settings(entry, WakeConfig())), entry)
    scored, timed = installed_peers(entry.phrase, PEER_THRESHOLDS)
    players: list[Player] = [listener, *scored]
    results = []
    with _progress() as progress:
        for player in players:
            result = play(player, audio, progress)
            print_tables(entry.phrase, entry.threshold, result)
            results.append(result)
    costs = cpu([listener, *timed], audio, args.cpu_minutes, 5) if args.cpu else []
    print_cpu(costs)
    left_out = audio.left_out
    if left_out:
        print(f"left out, because they hold the phrase or its sound: {', '.join(left_out)}")
    if audio.loops and args.noise_hours:
        print(f"looped: {', '.join(audio.loops)}")
    if args.json is not None:
        content = as_json(entry, results, costs, left_out) | {"looped": audio.loops}
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _second_stage(args: argparse.Namespace) -> int:
    from converters.evaluation.wake_excerpts import FirstStage, folder_for, kept
    from converters.evaluation.wake_questions import ask
    from converters.evaluation.wake_second_stage import Study, as_json, choose, parts, print_study

    entry, file = _word(args)
    if args.real is None:
        raise UnreadableAudioError("--second-stage chooses by real words of dev: give --real")
    second = load_second_stage(load_bundle(_bundle(args)), entry.phrase)
    settings = wake_settings(entry, WakeConfig())
    first = FirstStage(WakeWord(Model(file), settings))
    recordings = list(read_manifests(args.real, entry.phrase))
    studies = {}
    with _progress() as progress:
        for part, sources in parts(recordings, args.negatives_pool, args.noise_hours).items():
            audio = WakeAudio(sources, entry.phrase)
            folder = folder_for(args.excerpts, file, settings, sources)
            answers = []
            for number, group in enumerate((*audio.positives(), *audio.negatives())):
                heard = kept(folder, number, partial(first.hear, _watched(group, progress)))
                answers.append(ask(second, settings, heard))
            studies[part] = Study(answers)
    present = entry.threshold / 1000
    chosen = choose(studies["dev"], present)
    print_study(entry.phrase, present, studies["dev"], studies["test"], chosen)
    if args.json is not None:
        content = as_json(entry.phrase, present, studies, chosen)
        args.json.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return 0


def play(player: Player, audio: WakeAudio, progress: Progress) -> Result:
    """Plays everything to an engine.

    Args:
        player: the engine.
        audio: what is played.
        progress: shows how far it is.
    """
    positives = []
    for group in audio.positives():
        watched = _watched(group, progress)
        positives.append(count_positives(player, group.name, watched.streams))
    negatives = []
    for group in audio.negatives():
        watched = _watched(group, progress)
        negatives.append(count_negatives(player, group.name, watched.streams))
    for kind in ("(b) speech", "(c) near misses"):
        of_kind = [each for each in negatives if each.name.startswith(kind)]
        if len(of_kind) > 1:
            negatives.append(together(f"{kind}, all pools", of_kind))
    return Result(player.name, positives, negatives)


def cpu(players: Sequence[Player], audio: WakeAudio, minutes: float, rounds: int) -> list[Cpu]:
    """CPU of several engines on the first of the negatives."""
    kept: list[Scene] = []
    samples = 0.0
    for group in audio.negatives():
        for each in group.streams:
            kept.append(each)
            samples += len(each.samples)
            if samples >= minutes * 60 * SAMPLE_RATE:
                return measure(players, kept, minutes=minutes, rounds=rounds)
    return measure(players, kept, minutes=minutes, rounds=rounds) if kept else []


def _bundle(args: argparse.Namespace) -> Path:
    import firmware_models

    given: Path | None = args.bundle
    return given or firmware_models.factory_bundle()


def _word(args: argparse.Namespace) -> tuple[WakeEntry, Path]:
    """The wake word of a bundle, of a single file, or of the factory bundle.

    Returns:
        How it is judged, and its file.

    Raises:
        BundleFileError: the file has no wake.json beside it, or the bundle no wake word.
    """
    if args.model is not None:
        described = args.model.with_name("wake.json")
        if not described.exists():
            raise BundleFileError(f"{described} is missing; run train-wake to make it")
        entry, file = WakeEntry(**json.loads(described.read_text(encoding="utf-8"))), args.model
    else:
        bundle = load_bundle(_bundle(args))
        if not bundle.manifest.wake:
            raise BundleFileError(f"{bundle.directory} holds no wake word; export one into it")
        entry = bundle.manifest.wake[0]
        file = bundle.directory / entry.file
    if args.threshold is not None:
        entry = replace(entry, threshold=round(1000 * args.threshold))
    return entry, file


def _watched(group: Group, progress: Progress) -> Group:
    """The same group; the bar moves as its streams are taken."""
    return replace(group, streams=_counted(group.streams, progress, group.name, group.count))


def _counted(
    streams: Iterable[Scene], progress: Progress, name: str, count: int
) -> Iterator[Scene]:
    task: TaskID = progress.add_task(name, total=count)
    for each in streams:
        yield each
        progress.advance(task)
    progress.remove_task(task)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(file=sys.stderr), transient=True)
