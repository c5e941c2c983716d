"""New models take over between two commands: nothing that is being said gets lost."""

from __future__ import annotations

import numpy as np
import pytest

from agent.config import Config
from agent.hearing.features import BLOCK
from agent.hearing.pipeline import Pipeline
from agent.hearing.resampler import to_int16
from agent.hearing.session_events import Finished, SessionEvent
from tests.agent.toy_bundle import tones

SAID = "._*_ab a.._*cd."


def _blocks() -> np.ndarray:
    samples = tones(SAID, silence=0.001)
    whole = -(-len(samples) // BLOCK) * BLOCK
    return to_int16(np.pad(samples, (0, whole - len(samples)))).reshape(-1, BLOCK)


def _hear(pipelines: list[Pipeline], swap_at: set[int]) -> tuple[list[SessionEvent], int]:
    """Everything that happens, and how often the models were exchanged."""
    current = pipelines.pop(0)
    events: list[SessionEvent] = []
    swaps = 0
    blocks = _blocks()
    for number, block in enumerate(blocks):
        if number in swap_at and current.idle:
            following = pipelines.pop(0)
            following.take_over(current)
            current = following
            swaps += 1
        events += current.process(block)
    return events + current.finish(len(blocks) * BLOCK / 16000), swaps


def test_taking_over_before_any_block_changes_no_event(toy):
    """Also in the middle of the wake word, which the new models have then heard only afterwards."""
    config = Config()
    expected, _ = _hear([Pipeline(toy, config)], set())
    assert [e.text for e in expected if isinstance(e, Finished)] == ["ab a", "cd"]
    swapped = 0
    for number in range(len(_blocks())):
        events, swaps = _hear([Pipeline(toy, config), Pipeline(toy, config)], {number})
        swapped += swaps
        assert events == expected, number
    assert swapped > 50


def test_taking_over_again_and_again_changes_nothing_either(toy):
    config = Config()
    expected, _ = _hear([Pipeline(toy, config)], set())
    every = set(range(0, len(_blocks()), 7))
    events, swaps = _hear([Pipeline(toy, config) for _ in range(len(every) + 1)], every)
    assert swaps > 5
    assert events == expected


def test_a_command_is_not_interrupted(toy):
    first, second = Pipeline(toy, Config()), Pipeline(toy, Config())
    for block in _blocks()[:60]:
        first.process(block)
        if not first.idle:
            with pytest.raises(ValueError, match="idle"):
                second.take_over(first)
            return
    raise AssertionError("the wake word was not heard")
