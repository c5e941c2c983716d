"""What a run says at its end about the sets that it was watched on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from converters.asr import development
from converters.asr.development import DevelopmentSet, closing_rates
from converters.asr.encoder import Shape
from converters.asr.methods import Search
from converters.asr.model import Recogniser
from converters.asr.readings import Reading, best_readings
from converters.asr.text import decode, encode

SMALL = Shape(hidden=16, layers=2, joint=16, embedding=8, predictor=8)


def a_set() -> DevelopmentSet:
    # Longer clips are batched last; their texts must come back to them.
    frames = [np.zeros((count, 256), np.float32) for count in (40, 30)]
    return DevelopmentSet("there", frames, ["a b", "c"])


def test_rates_and_delay_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    by_length = {40: Reading(encode("a b c"), 0.0, last=27), 30: Reading([], 0.0)}

    def best(_model: object, _frames: object, lengths: torch.Tensor, _: object) -> list[Reading]:
        return [by_length[int(length)] for length in lengths]

    monkeypatch.setattr(development, "best_readings", best)
    monkeypatch.setattr(development, "recognise", lambda *_: ["a b", "d"])
    found = closing_rates(Recogniser(SMALL).eval(), [a_set()], Search())["there"]
    # Three words are said. Greedily one is wrong, and one of four characters; searched, one is
    # too many and one is missing.
    assert found["words"] == pytest.approx(1 / 3)
    assert found["characters"] == pytest.approx(1 / 4)
    assert found["words_searched"] == pytest.approx(2 / 3)
    # 40 frames are 1.6 s, of which the last 0.6 s are a pause; frame 27 ends at 1.12 s.
    assert found["last_label_s"] == pytest.approx(0.12)


def test_clips_are_read_as_if_each_were_alone() -> None:
    torch.manual_seed(0)
    model = Recogniser(SMALL, dropout=0.0).eval()
    rng, search = np.random.default_rng(0), Search(width=4)
    with torch.no_grad():
        model.joiner.output.weight.mul_(8.0)  # Decided answers, some of them blanks.
        model.joiner.output.bias[0] += 2.0
    frames = [rng.normal(size=(count, 256)).astype(np.float32) for count in (12, 7, 9)]
    alone = [
        best_readings(model, torch.from_numpy(clip)[None], torch.tensor([len(clip)]), search)[0]
        for clip in frames
    ]
    texts = [decode(reading.labels) for reading in alone]
    assert len(set(texts)) == 3
    found = closing_rates(model, [DevelopmentSet("x", frames, texts)], search)["x"]
    assert found["words_searched"] == 0.0


def test_a_long_memory_is_read_greedily_only() -> None:
    model = Recogniser(dataclasses.replace(SMALL, long_memory=True)).eval()
    found = closing_rates(model, [a_set()], Search())["there"]
    assert set(found) == {"characters", "words"}
