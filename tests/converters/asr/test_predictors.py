"""Predictors answer the same to whole texts and label by label."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from converters.asr.decoding import greedy
from converters.asr.encoder import Shape
from converters.asr.model import Recogniser
from converters.asr.predictors import LongPredictor, Predictor, label_pairs
from converters.asr.text import encode

SMALL = Shape(hidden=16, layers=2, joint=16, embedding=8, predictor=8)
KINDS = {"two labels": Predictor, "all labels": LongPredictor}


def test_two_labels_are_seen() -> None:
    pairs = label_pairs(torch.tensor([[5, 6, 7]]))
    assert pairs.tolist() == [[[0, 0], [0, 5], [5, 6], [6, 7]]]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_along_a_text_as_label_by_label(kind: type[Predictor | LongPredictor]) -> None:
    torch.manual_seed(0)
    predictor = kind(29, 8, 12, 16)
    targets = torch.randint(1, 29, (3, 5))
    with torch.no_grad():
        whole = predictor.along(targets)
        memory = predictor.start(3)
        for position in range(6):
            torch.testing.assert_close(predictor.answer(memory), whole[:, position])
            if position < 5:
                memory = predictor.after(memory, targets[:, position])


@pytest.mark.parametrize(("long", "remembers"), [(False, False), (True, True)])
def test_only_an_lstm_remembers_the_third_label(long: bool, remembers: bool) -> None:
    torch.manual_seed(0)
    predictor = Recogniser(dataclasses.replace(SMALL, long_memory=long)).predictor
    with torch.no_grad():
        found = predictor.along(torch.tensor([encode("abc"), encode("xbc")]))
    assert torch.equal(found[0, 3], found[1, 3]) != remembers


@pytest.mark.parametrize("long", [False, True], ids=KINDS)
def test_greedy_decoding_follows_the_labels(long: bool) -> None:
    torch.manual_seed(1)
    model = Recogniser(dataclasses.replace(SMALL, long_memory=long), dropout=0.0).eval()
    with torch.no_grad():
        model.joiner.output.weight.mul_(8.0)  # Decided answers, some of them blanks.
        frames, lengths = torch.randn(2, 9, 256), torch.tensor([9, 5])
        found = greedy(model, frames, lengths)
        encoded = model.encoder(frames)
        for row in range(2):
            said: list[int] = []
            for frame in range(int(lengths[row])):
                for _ in range(6):
                    predicted = model.predictor.along(torch.tensor([said], dtype=torch.long))
                    label = int(model.joiner(encoded[row, frame], predicted[0, -1]).argmax())
                    if label == 0:
                        break
                    said.append(label)
            assert said
            letters = "".join(" " if label == 1 else _letter(label) for label in said)
            assert found[row] == " ".join(letters.split())


def _letter(label: int) -> str:
    return next(c for c in "'abcdefghijklmnopqrstuvwxyz" if encode(c) == [label])
