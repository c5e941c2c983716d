"""Misses, false accepts, delays and CPU of a wake word, played through the classes of the agent.

    voice-converters evaluate --wake --bundle firmware_models/command_en --real DIR
        [--positives-pool DIR] [--negatives-pool DIR] [--noise-hours 10] [--cpu] [--json FILE]

Real clips of each split are set into streams of six seconds, alone and followed by a command, in
every condition. False accepts are counted on (a) real speech that was never trained on, (b) pools
of synthetic speech, (c) hard negatives, (d) real noise and music, once and in a loop. `--model`
takes a ``.tflite`` file with a ``wake.json`` beside it, fresh from `train-wake`, in place of a
bundle. Engines of others that are installed and know the phrase hear the very same streams.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.bundle.manifest import load_bundle
from agent.bundle.schema import WakeEntry
from agent.errors import BundleFileError, UnreadableAudioError
from agent.hearing.features import SAMPLE_RATE
from converters.evaluation.wake_counts import (
    Listener,
    Negatives,
    Player,
    Positives,
    Result,
    count_negatives,
    count_positives,
)
from converters.evaluation.wake_cpu import Cpu, measure
from converters.evaluation.wake_peers import installed_peers
from converters.wake.pools import pool_utterances
from converters.wake.recordings import Recording, Role, read_manifests
from converters.wake.scenes import CLEAN, ROOM, Condition, Scene, in_noise, scene, stream
from converters.wake.utterances import Utterance, read_audio, real_utterances

CONDITIONS = (CLEAN, in_noise(20.0), in_noise(10.0), in_noise(5.0), in_noise(0.0), ROOM)
PEER_THRESHOLDS = (0.5, 0.9, 0.97)
"""Other engines are heard at each of these, since none of theirs is ours."""
_COMMAND_S = (1.0, 6.0)
_SEED = 20
"""Of noise and rooms; a fixed one, so that two models meet the same audio."""


# -- groups ----------------------------------------------------------------------------------


def real_positives(recordings: Sequence[Recording], phrase: str) -> dict[str, list[Recording]]:
    """Groups of real wake words: the bare phrase by split, and longer texts that end with it."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        if recording.role is Role.POSITIVE:
            bare = recording.text.split(" / ")[0] == phrase
            name = recording.split if bare else f"{recording.split}, within a longer phrase"
            groups.setdefault(name, []).append(recording)
    return dict(sorted(groups.items()))


def never_trained(recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings without the wake word that training may not see."""
    negative = {Role.WORD, Role.SPEECH, Role.NOISE}
    return [
        r for r in recordings if r.role in negative and not (r.trainable and r.split == "train")
    ]


def commands(recordings: Sequence[Recording], split: str) -> list[Utterance]:
    """What is said behind the wake words of a split: its commands, else any short speech."""
    speech = [
        r
        for r in recordings
        if r.role is Role.SPEECH
        and r.split == split
        and _COMMAND_S[0] <= r.seconds <= _COMMAND_S[1]
    ]
    return list(real_utterances([r for r in speech if r.key.startswith("cmd_")] or speech))


@dataclass(frozen=True)
class Audio:
    """What is played.

    Attributes:
        recordings: real ones, of all splits.
        positives_pools: folders of synthetic wake words.
        negatives_pools: folders of synthetic speech.
        noise_hours: how long real noise and music is looped; 0: not at all.
        splits: of the real positives.
    """

    recordings: Sequence[Recording] = ()
    positives_pools: Sequence[Path] = ()
    negatives_pools: Sequence[Path] = ()
    noise_hours: float = 0.0
    splits: Sequence[str] = ("dev", "test")


class Evaluation:
    """Plays everything to an engine, and gives every engine the same.

    Args:
        audio: what is played.
        phrase: the wake phrase.
    """

    def __init__(self, audio: Audio, phrase: str) -> None:
        self._audio, self._phrase = audio, phrase
        held = [r for r in audio.recordings if r.role is Role.NOISE and r.split == "test"]
        self._noises = [read_audio(r.path) for r in held]
        # Without noise recordings there are the conditions that need none.
        self._conditions = [c for c in CONDITIONS if self._noises or c.noise_db is None]

    # -- misses --------------------------------------------------------------------------------

    def positives(self, player: Player) -> list[Positives]:
        """Misses of an engine in every group and condition."""
        found = []
        for name, streams in self._positive_streams():
            found.append(count_positives(player, name, streams))
        return found

    def _positive_streams(self) -> Iterator[tuple[str, Iterable[Scene]]]:
        for name, group in real_positives(self._audio.recordings, self._phrase).items():
            split, _, longer = name.partition(",")
            if split not in self._audio.splits:
                continue
            words = list(real_utterances(group))
            # In a longer clip, energy does not tell where the phrase ends.
            yield from self._in_streams(f"real {name}", words, [], known=not longer)
            following = commands(self._audio.recordings, split)
            if following and not longer:
                yield from self._in_streams(f"real {name} + command", words, following, known=True)
        for folder in self._audio.positives_pools:
            words = [u for u in pool_utterances(folder, self._phrase) if u.role is Role.POSITIVE]
            yield from self._in_streams(f"synthetic {folder.name}", words, [], known=True)

    def _in_streams(
        self,
        name: str,
        words: Sequence[Utterance],
        following: Sequence[Utterance],
        *,
        known: bool,
    ) -> Iterator[tuple[str, Iterable[Scene]]]:
        for condition in self._conditions:
            yield f"{name}: {condition.name}", self._streams(words, following, condition, known)

    def _streams(
        self,
        words: Sequence[Utterance],
        following: Sequence[Utterance],
        condition: Condition,
        known: bool,
    ) -> Iterator[Scene]:
        for word in words:
            place = zlib.crc32(f"command {word.key}".encode())
            command = following[place % len(following)] if following else None
            made = stream(word, condition, self._noises, _SEED, command)
            yield made if known else replace(made, word_end_s=None)

    # -- false accepts -------------------------------------------------------------------------

    def negatives(self, player: Player) -> list[Negatives]:
        """False accepts of an engine."""
        return [count_negatives(player, *pair) for pair in self._negative_streams()]

    def _negative_streams(self) -> Iterator[tuple[str, Iterable[Scene]]]:
        unseen = never_trained(self._audio.recordings)
        for name, roles in (
            ("(a) real speech", {Role.WORD, Role.SPEECH}),
            ("(d) real noise and music, once", {Role.NOISE}),
        ):
            group = [r for r in unseen if r.role in roles]
            if group:
                yield name, self._once(real_utterances(group))
        if self._noises and self._audio.noise_hours:
            yield "(d) real noise and music, looped", self._looped()
        for folder in (*self._audio.positives_pools, *self._audio.negatives_pools):
            everything = list(pool_utterances(folder, self._phrase))
            for name, role in (("(b) speech", Role.SPEECH), ("(c) near misses", Role.CONFUSABLE)):
                chosen = [u for u in everything if u.role is role]
                if chosen:
                    yield f"{name} of {folder.name}", self._once(chosen)

    def _once(self, utterances: Iterable[Utterance]) -> Iterator[Scene]:
        for utterance in utterances:
            yield scene(utterance, CLEAN, self._noises, _SEED)

    def _looped(self) -> Iterator[Scene]:
        """Minutes of two noises at once, at levels from faint to loud."""
        rng = np.random.default_rng(_SEED)
        samples = 60 * SAMPLE_RATE
        for minute in range(round(self._audio.noise_hours * 60)):
            sound = np.zeros(samples, np.float32)
            for level_dbfs in rng.uniform(-50.0, -12.0, 2):
                noise = self._noises[int(rng.integers(len(self._noises)))]
                piece = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), samples)
                rms = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
                sound += piece * np.float32(10 ** (level_dbfs / 20) / max(rms, 1e-5))
            yield Scene(f"loop {minute}", "", np.clip(sound, -1.0, 1.0), None, 60.0)

    # -- CPU -----------------------------------------------------------------------------------

    def cpu(self, players: Sequence[Player], minutes: float, rounds: int) -> list[Cpu]:
        """CPU of several engines on the first of the negatives."""
        kept: list[Scene] = []
        for _, streams in self._negative_streams():
            for each in streams:
                kept.append(each)
                if sum(len(k.samples) for k in kept) >= minutes * 60 * SAMPLE_RATE:
                    return measure(players, kept, minutes=minutes, rounds=rounds)
        return measure(players, kept, minutes=minutes, rounds=rounds) if kept else []


# -- command ---------------------------------------------------------------------------------


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
        help="wake pool of another seed or voice (may be repeated)",
    )
    add(
        "--negatives-pool",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="speech pool of another seed or voice (may be repeated)",
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
    add("--cpu", action="store_true", help="also measure CPU: ten minutes, five times, in turn")
    add("--cpu-minutes", type=float, default=10.0, help=argparse.SUPPRESS)
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def listener_for(
    bundle: Path | None, model: Path | None, threshold: float | None = None
) -> Listener:
    """The wake word of a bundle, of a single file, or of the factory bundle.

    Args:
        bundle: folder of a bundle.
        model: a .tflite file with wake.json beside it; comes before the bundle.
        threshold: in place of the one it has.

    Raises:
        BundleFileError: the file has no wake.json beside it, or the bundle no wake word.
    """
    if model is not None:
        described = model.with_name("wake.json")
        if not described.exists():
            raise BundleFileError(f"{described} is missing; run train-wake to make it")
        entry = WakeEntry(**json.loads(described.read_text(encoding="utf-8")))
        return Listener(model, _with(entry, threshold))
    if bundle is None:
        import firmware_models

        bundle = firmware_models.factory_bundle()
    manifest = load_bundle(bundle).manifest
    if not manifest.wake:
        raise BundleFileError(f"{bundle} holds no wake word; export one into it")
    return Listener(bundle / manifest.wake[0].file, _with(manifest.wake[0], threshold))


def _with(entry: WakeEntry, threshold: float | None) -> WakeEntry:
    return entry if threshold is None else replace(entry, threshold=round(1000 * threshold))


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the tables and writes the JSON."""
    from converters.evaluation.wake_tables import as_json, print_cpu, print_tables

    if args.real is None and not args.positives_pool and not args.negatives_pool:
        raise UnreadableAudioError(
            "nothing to play: give --real, --positives-pool or --negatives-pool"
        )
    listener = listener_for(args.bundle, args.model, args.threshold)
    phrase = listener.entry.phrase
    recordings = list(read_manifests(args.real, phrase)) if args.real else []
    audio = Audio(
        recordings, args.positives_pool, args.negatives_pool, args.noise_hours, args.splits
    )
    evaluation = Evaluation(audio, phrase)
    scored, timed = installed_peers(phrase, PEER_THRESHOLDS)
    results = []
    players: list[Player] = [listener, *scored]
    for player in players:
        result = Result(player.name, evaluation.positives(player), evaluation.negatives(player))
        print_tables(phrase, listener.entry.threshold, result)
        results.append(result)
    costs = evaluation.cpu([listener, *timed], args.cpu_minutes, 5) if args.cpu else []
    print_cpu(costs)
    left_out = [r.key for r in recordings if r.role is Role.LEFT_OUT]
    if left_out:
        print(f"left out, because they hold the phrase inside other words: {', '.join(left_out)}")
    if args.json is not None:
        content = as_json(listener.entry, results, costs, left_out)
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0
