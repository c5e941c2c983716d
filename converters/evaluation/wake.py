"""Misses, false accepts and delays of a wake word, played through the classes of the agent.

    voice-converters evaluate --wake --bundle firmware_models/command_en --real DIR
        [--positives-pool DIR] [--negatives-pool DIR] [--json FILE]

Real clips of each split are set between pauses, clean, in noise, and in a simulated room; real
speech that was never trained on and pools of other seeds or voices count false accepts. `--model`
takes a ``.tflite`` file with a ``wake.json`` beside it, fresh from `train-wake`, in place of a
bundle.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.bundle.manifest import load_bundle
from agent.bundle.schema import WakeEntry
from agent.errors import BundleFileError, UnreadableAudioError
from converters.evaluation.wake_counts import (
    Listener,
    Negatives,
    Positives,
    count_negatives,
    count_positives,
)
from converters.wake.pools import pool_utterances
from converters.wake.recordings import Recording, Role, read_manifests
from converters.wake.scenes import CLEAN, ROOM, Condition, Scene, in_noise, scene
from converters.wake.utterances import Utterance, read_audio, real_utterances

CONDITIONS = (CLEAN, in_noise(10.0), in_noise(5.0), in_noise(0.0), ROOM)
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


def _conditions(noises: Sequence[Any]) -> Sequence[Condition]:
    """All conditions, or without noise recordings those that need none."""
    return [each for each in CONDITIONS if noises or each.noise_db is None]


def _scenes(
    utterances: Iterable[Utterance], condition: Condition, noises: Sequence[Any], *, known: bool
) -> Iterable[Scene]:
    for utterance in utterances:
        made = scene(utterance, condition, noises, _SEED)
        yield made if known else replace(made, word_end_s=None)


def evaluate(
    listener: Listener,
    *,
    real: Path | None,
    positives_pools: Sequence[Path],
    negatives_pools: Sequence[Path],
    splits: Sequence[str] = ("dev", "test"),
) -> tuple[list[Positives], list[Negatives]]:
    """Runs everything that the given folders allow."""
    phrase = listener.entry.phrase
    positives, negatives = [], []
    noises: list[Any] = []
    if real is not None:
        recordings = list(read_manifests(real, phrase))
        held = [r for r in recordings if r.role is Role.NOISE and r.split == "test"]
        noises = [read_audio(r.path) for r in held]
        for name, group in real_positives(recordings, phrase).items():
            if name.split(",")[0] not in splits:
                continue
            # In a longer clip, energy does not tell where the phrase ends.
            known = "," not in name
            for condition in _conditions(noises):
                streams = _scenes(real_utterances(group), condition, noises, known=known)
                positives.append(
                    count_positives(listener, f"real {name}: {condition.name}", streams)
                )
        unseen = never_trained(recordings)
        for name, roles in (
            ("real speech", {Role.WORD, Role.SPEECH}),
            ("real noise and music", {Role.NOISE}),
        ):
            group = [r for r in unseen if r.role in roles]
            streams = _scenes(real_utterances(group), CLEAN, noises, known=True)
            negatives.append(count_negatives(listener, name, streams))
    for folder in positives_pools:
        words = [u for u in pool_utterances(folder, phrase) if u.role is Role.POSITIVE]
        for condition in _conditions(noises):
            streams = _scenes(words, condition, noises, known=True)
            name = f"synthetic {folder.name}: {condition.name}"
            positives.append(count_positives(listener, name, streams))
    for folder in (*positives_pools, *negatives_pools):
        everything = list(pool_utterances(folder, phrase))
        for name, role in (("speech", Role.SPEECH), ("near misses", Role.CONFUSABLE)):
            chosen = [u for u in everything if u.role is role]
            if chosen:
                streams = _scenes(chosen, CLEAN, noises, known=True)
                title = f"synthetic {name} of {folder.name}"
                negatives.append(count_negatives(listener, title, streams))
    return positives, negatives


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
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")


def listener_for(bundle: Path | None, model: Path | None) -> Listener:
    """The wake word of a bundle, of a single file, or of the factory bundle.

    Raises:
        BundleFileError: the file has no wake.json beside it, or the bundle no wake word.
    """
    if model is not None:
        described = model.with_name("wake.json")
        if not described.exists():
            raise BundleFileError(f"{described} is missing; run train-wake to make it")
        return Listener(model, WakeEntry(**json.loads(described.read_text(encoding="utf-8"))))
    if bundle is None:
        import firmware_models

        bundle = firmware_models.factory_bundle()
    manifest = load_bundle(bundle).manifest
    if not manifest.wake:
        raise BundleFileError(f"{bundle} holds no wake word; export one into it")
    return Listener(bundle / manifest.wake[0].file, manifest.wake[0])


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the tables and writes the JSON."""
    from converters.evaluation.wake_tables import as_json, print_tables

    if args.real is None and not args.positives_pool and not args.negatives_pool:
        raise UnreadableAudioError(
            "nothing to play: give --real, --positives-pool or --negatives-pool"
        )
    listener = listener_for(args.bundle, args.model)
    positives, negatives = evaluate(
        listener,
        real=args.real,
        positives_pools=args.positives_pool,
        negatives_pools=args.negatives_pool,
    )
    print_tables(listener.entry, positives, negatives)
    if args.json is not None:
        content = as_json(listener.entry, positives, negatives)
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0
