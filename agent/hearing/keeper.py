"""Keeps the sound of what woke nearly or wrongly, so that the wake word can learn from it.

Off unless the configuration asks for it. Two kinds, each in a folder of its own:

    near_misses     the score came close and did not reach the threshold
    false_accepts   it woke, and then nobody said anything that was understood

The names say what the agent believes. A person has to listen before anything is learned from them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.config import KeepConfig
from agent.hearing.features import SAMPLE_RATE
from agent.hearing.near_misses import NearMisses
from agent.hearing.ring_buffer import Block, SampleRing
from agent.hearing.session_events import Finished, SessionEvent, Woken
from agent.hearing.sound_store import Sound, SoundStore
from agent.hearing.wake_word import WakeWord

NEAR_MISSES, FALSE_ACCEPTS = "near_misses", "false_accepts"
_SECONDS = 3.0
"""Length of what is kept, up to the moment in which it was decided."""


class Keeper:
    """Looks on, frame by frame, and copies sound out of the ring where it is worth keeping.

    Args:
        config: What is kept.
        ring: Where the sound is; long enough for 3 s.
        store: Where it goes.
    """

    def __init__(self, config: KeepConfig, ring: SampleRing, store: SoundStore) -> None:
        self._config, self._ring, self._store = config, ring, store
        self._near: dict[str, NearMisses] = {}
        self._woken: tuple[Woken, Block] | None = None

    def heard(
        self,
        words: Sequence[WakeWord],
        events: Sequence[SessionEvent],
        position: int,
        *,
        idle: bool,
    ) -> None:
        """Takes what one block led to.

        Args:
            words: The wake words, having heard it.
            events: What the session made of it.
            position: End of the block in the ring, in samples.
            idle: No command is being heard.
        """
        for event in events:
            self._look_at(event, position)
        if not self._config.near_misses:
            return
        detected = any(isinstance(event, Woken) for event in events)
        for word in words:
            name = word.settings.phrase
            near = self._near.setdefault(name, NearMisses(self._config.above))
            peak = near.step(word.score, detected=detected, idle=idle)
            if peak is not None:
                self._put(NEAR_MISSES, name, peak, self._copy(position))

    def reset(self) -> None:
        """Forgets what was under way: the sound has a gap."""
        self._near.clear()
        self._woken = None

    def _look_at(self, event: SessionEvent, position: int) -> None:
        if not self._config.false_accepts:
            return
        if isinstance(event, Woken):
            # When the command is over, the ring holds the word no more.
            samples = self._copy(position)
            self._woken = None if samples is None else (event, samples)
        elif isinstance(event, Finished):
            if self._woken is not None and not event.text:
                woken, samples = self._woken
                self._put(FALSE_ACCEPTS, woken.word, woken.score, samples)
            self._woken = None

    def _copy(self, position: int) -> Block | None:
        """The last seconds up to a position; None if the ring has lost them."""
        length = min(int(_SECONDS * SAMPLE_RATE), position, self._ring.capacity)
        samples = np.zeros(length, np.int16)
        return samples if self._ring.copy(position - length, samples) else None

    def _put(self, kind: str, word: str, score: float, samples: Block | None) -> None:
        if samples is not None:
            self._store.put(Sound(kind, word, score, samples))
