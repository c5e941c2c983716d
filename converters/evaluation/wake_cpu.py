"""CPU of wake-word engines per second of audio, in turn on the same sound."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.hearing.features import SAMPLE_RATE
from converters.evaluation.wake_counts import Player
from converters.wake.scenes import Scene

_PIECE_S = 60.0
"""A stream: long enough that what a reset costs does not count."""


@dataclass(frozen=True)
class Cpu:
    """What an engine costs."""

    name: str
    seconds_per_second: float
    """Median over the rounds, features included."""
    lowest: float
    highest: float
    minutes: float
    """Audio in a round."""
    rounds: int


def measure(
    players: Sequence[Player], streams: Sequence[Scene], *, minutes: float, rounds: int
) -> list[Cpu]:
    """Plays the same sound to each engine in turn, round after round.

    Args:
        players: the engines.
        streams: sound of any length; joined, and repeated until it lasts.
        minutes: audio in a round.
        rounds: how often; the median counts.
    """
    pieces = [stream.samples for stream in streams]
    wanted = int(minutes * 60 * SAMPLE_RATE)
    while sum(len(piece) for piece in pieces) < wanted:
        pieces += pieces
    sound = np.concatenate(pieces)[:wanted]
    length = int(_PIECE_S * SAMPLE_RATE)
    parts = [
        Scene(f"cpu {first}", "", sound[first : first + length], None, 0.0)
        for first in range(0, len(sound), length)
    ]
    costs: dict[int, list[float]] = {number: [] for number in range(len(players))}
    for _ in range(rounds):
        for number, player in enumerate(players):
            cpu, audio = player.cpu_s, player.audio_s
            for part in parts:
                player.play(part)
            costs[number].append((player.cpu_s - cpu) / (player.audio_s - audio))
    return [
        Cpu(
            player.name, statistics.median(cost), min(cost), max(cost), len(sound) / 960_000, rounds
        )
        for player, cost in zip(players, costs.values(), strict=True)
    ]
