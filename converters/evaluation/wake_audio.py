"""What is played to a wake word: the same streams for every engine, made one at a time.

Real clips of each split are set into streams of six seconds, alone and followed by a command, in
every condition; the phrase in synthetic pools as it is. Without the phrase there are

    (a) real speech that was never trained on (dev, test, and what may only be evaluated)
    (b) synthetic speech, one utterance soon after the other
    (c) near misses: what synthesis made to be mistaken for the phrase
    (d) real noise and music that was never trained on, once, and two at a time in a loop

What holds the phrase otherwise is played to nobody, and `left_out` lists it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.hearing.features import SAMPLE_RATE
from converters.wake.pools import left_out_of_pool, pool_utterances
from converters.wake.recordings import Recording, Role
from converters.wake.scenes import CLEAN, ROOM, Condition, Scene, in_noise, scene, staged, stream
from converters.wake.utterances import Utterance, read_audio, real_utterances

CONDITIONS = (CLEAN, in_noise(20.0), in_noise(10.0), in_noise(5.0), in_noise(0.0), ROOM)
_COMMAND_S = (1.0, 6.0)
_BREATH_S = 0.4, 0.6
"""Pauses around an utterance of a pool, which are not counted: long enough for a late event."""
_LOOP_DBFS = (-50.0, -12.0)
_SEED = 20
"""Of noise and rooms; a fixed one, so that two models meet the same audio."""


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
class Group:
    """Streams that are counted together."""

    name: str
    count: int
    """How many there are."""
    streams: Iterable[Scene]
    """Each is made when it is asked for, so hours need no memory."""


@dataclass(frozen=True)
class Sources:
    """Where the audio comes from.

    Attributes:
        recordings: real ones, of all splits.
        negatives: those of them that are played as sound without the phrase.
        positives_pools: folders of synthetic wake words.
        negatives_pools: folders of synthetic speech and near misses.
        noise_hours: how long real noise and music is looped; 0: not at all.
        splits: of the real positives, and of what is said behind them.
        noise_split: of the noise around positives and in the loop.
    """

    recordings: Sequence[Recording] = ()
    negatives: Sequence[Recording] = ()
    positives_pools: Sequence[Path] = ()
    negatives_pools: Sequence[Path] = ()
    noise_hours: float = 0.0
    splits: Sequence[str] = ("dev", "test")
    noise_split: str = "test"


class WakeAudio:
    """Everything that is played.

    Args:
        sources: where it comes from.
        phrase: the wake phrase.

    Attributes:
        loops: keys of the noise and music that serves as background and is looped.
    """

    def __init__(self, sources: Sources, phrase: str) -> None:
        self._sources, self._phrase = sources, phrase
        split = sources.noise_split
        held = [r for r in sources.recordings if r.role is Role.NOISE and r.split == split]
        self.loops = [r.key for r in held]
        self._noises = [read_audio(r.path) for r in held]
        # Without noise recordings there are the conditions that need none.
        self._conditions = [c for c in CONDITIONS if self._noises or c.noise_db is None]

    @property
    def left_out(self) -> list[str]:
        """Keys of recordings and texts of pools that hold the phrase inside something else."""
        found = [r.key for r in self._sources.recordings if r.role is Role.LEFT_OUT]
        for folder in self._pools:
            found += [f"{folder.name}: {text}" for text in left_out_of_pool(folder, self._phrase)]
        return found

    @property
    def _pools(self) -> tuple[Path, ...]:
        return (*self._sources.positives_pools, *self._sources.negatives_pools)

    # -- with the phrase -----------------------------------------------------------------------

    def positives(self) -> Iterator[Group]:
        """Streams with the wake word, once in each."""
        for name, group in real_positives(self._sources.recordings, self._phrase).items():
            split, _, longer = name.partition(",")
            if split not in self._sources.splits:
                continue
            words = list(real_utterances(group))
            # In a longer clip, energy does not tell where the phrase ends.
            yield from self._in_streams(f"real {name}", words, [], known=not longer)
            following = commands(self._sources.recordings, split)
            if following and not longer:
                yield from self._in_streams(f"real {name} + command", words, following, known=True)
        for folder in self._sources.positives_pools:
            words = [u for u in pool_utterances(folder, self._phrase) if u.role is Role.POSITIVE]
            yield from self._in_streams(f"synthetic {folder.name}", words, [], known=True)

    def _in_streams(
        self,
        name: str,
        words: Sequence[Utterance],
        following: Sequence[Utterance],
        *,
        known: bool,
    ) -> Iterator[Group]:
        for condition in self._conditions:
            streams = self._streams(words, following, condition, known)
            yield Group(f"{name}: {condition.name}", len(words), streams)

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

    # -- without it ----------------------------------------------------------------------------

    def negatives(self) -> Iterator[Group]:
        """Streams without the wake word."""
        for name, roles in (
            ("(a) real speech", {Role.WORD, Role.SPEECH}),
            ("(d) real noise and music, once", {Role.NOISE}),
        ):
            group = [r for r in self._sources.negatives if r.role in roles]
            if group:
                yield Group(name, len(group), map(self._once, real_utterances(group)))
        minutes = round(self._sources.noise_hours * 60)
        if self._noises and minutes:
            yield Group("(d) real noise and music, looped", minutes, self._looped(minutes))
        for folder in self._pools:
            counts = Counter(u.role for u in pool_utterances(folder, self._phrase))
            for name, role in (("(b) speech", Role.SPEECH), ("(c) near misses", Role.CONFUSABLE)):
                if counts[role]:
                    streams = self._of_pool(folder, role)
                    yield Group(f"{name} of {folder.name}", counts[role], streams)

    def _once(self, utterance: Utterance) -> Scene:
        return scene(utterance, CLEAN, self._noises, _SEED)

    def _of_pool(self, folder: Path, role: Role) -> Iterator[Scene]:
        rng = np.random.default_rng(_SEED)
        for utterance in pool_utterances(folder, self._phrase):
            if utterance.role is role:
                clip = utterance.load()
                samples = staged(clip, *_BREATH_S, 0.0, CLEAN, (), rng)
                seconds = len(clip) / SAMPLE_RATE
                yield Scene(utterance.key, utterance.speaker, samples, None, seconds)

    def _looped(self, minutes: int) -> Iterator[Scene]:
        """Minutes of two noises at once, at levels from faint to loud."""
        rng = np.random.default_rng(_SEED)
        samples = 60 * SAMPLE_RATE
        for minute in range(minutes):
            sound = np.zeros(samples, np.float32)
            drawn = rng.integers(len(self._noises), size=2).tolist()
            for number, level_dbfs in zip(drawn, rng.uniform(*_LOOP_DBFS, 2), strict=True):
                noise = self._noises[number]
                piece = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), samples)
                rms = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
                sound += piece * np.float32(10 ** (level_dbfs / 20) / max(rms, 1e-5))
            # The key says what was heard, so that a false accept can be looked into.
            key = f"loop {minute}: {self.loops[drawn[0]]} with {self.loops[drawn[1]]}"
            yield Scene(key, "", np.clip(sound, -1.0, 1.0), None, 60.0)
