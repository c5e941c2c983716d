"""Readings of a model in training, their scores, and the expected number of wrong words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agent.hearing.language_model import LanguageModel
from converters.asr import expected_errors as module
from converters.asr.expected_errors import expected_errors, sequence_scores
from converters.asr.loss import transducer_loss
from converters.asr.methods import Search
from converters.asr.model import Recogniser
from converters.asr.readings import Reading, readings
from converters.asr.text import decode, encode
from converters.language.counting import count, label_stream
from converters.language.estimation import estimate
from tests.converters.asr.test_training import SMALL


def toy_model(seed: int = 0) -> Recogniser:
    torch.manual_seed(seed)
    return Recogniser(SMALL, dropout=0.0).eval()


def toy_language() -> LanguageModel:
    stream = label_stream([encode("ab ba"), encode("abba"), encode("cab")] * 5, 4)
    return LanguageModel(estimate(count(stream, 4), [1, 1, 1, 1]))


def test_scores_are_those_of_the_whole_lattice() -> None:
    torch.manual_seed(0)
    model = toy_model()
    encoded, frames = torch.randn(2, 7, SMALL.joint), torch.tensor([7, 4])
    spelled = torch.randint(1, 29, (2, 3, 5))
    spelled[0, 1] = spelled[0, 0]  # Readings share pairs of labels, or everything.
    counts = torch.tensor([[5, 2, 0], [1, 4, 3]])
    with torch.no_grad():
        found = sequence_scores(model, encoded, frames, spelled, counts)
        for row in range(2):
            for i in range(3):
                labels = spelled[row, i, : counts[row, i]][None]
                here = encoded[row : row + 1, : frames[row]]
                predicted = model.predictor.along(labels)
                logits = model.joiner(here[:, :, None], predicted[:, None])
                alone = transducer_loss(
                    logits, labels, frames[row : row + 1], counts[row, i : i + 1]
                )
                torch.testing.assert_close(found[row, i], -alone[0], atol=1e-4, rtol=1e-5)


def test_the_beam_keeps_readings_by_nearly_their_exact_scores() -> None:
    torch.manual_seed(1)
    model = toy_model()
    encoded, frames = 3.0 * torch.randn(2, 6, SMALL.joint), torch.tensor([6, 3])
    search = Search(toy_language(), 0.5, 8)
    found = readings(model, encoded, frames, search)
    assert [len(row) for row in found] == [8, 8]
    for row, those in enumerate(found):
        longest = max(len(reading.labels) for reading in those)
        spelled = torch.zeros(1, len(those), longest, dtype=torch.long)
        for i, reading in enumerate(those):
            spelled[0, i, : len(reading.labels)] = torch.tensor(reading.labels)
        counts = torch.tensor([[len(reading.labels) for reading in those]])
        with torch.no_grad():
            exact = sequence_scores(
                model, encoded[row : row + 1], frames[row : row + 1], spelled, counts
            )
        gains = torch.tensor([reading.gain for reading in those])
        # Best first, up to alignments that the beam has dropped on the way.
        total = (exact[0] + gains).tolist()
        assert total[0] >= max(total) - 0.5


def test_expected_errors_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy_model()
    encoded, frames = torch.randn(1, 5, SMALL.joint), torch.tensor([5])
    said = encode("a b")
    # One word wrong, none, and one word too many; the second row has a single reading.
    texts = [["a c", "a b", "a b c"], ["b"]]
    found = [[Reading(encode(text), 0.5 * i) for i, text in enumerate(row)] for row in texts]
    monkeypatch.setattr(module, "readings", lambda *_: found)
    scores = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -9.0, -9.0]])
    monkeypatch.setattr(module, "sequence_scores", lambda *_: scores)
    targets = torch.tensor([said, said])
    risk = expected_errors(
        model, encoded.expand(2, -1, -1), frames.expand(2), targets, torch.tensor([3, 3]), Search()
    )
    # Scores with the language model's part: -1, -1.5, -2.
    chances = np.exp([-1.0, -1.5, -2.0])
    chances /= chances.sum()
    assert risk[0].item() == pytest.approx(chances[0] + chances[2], rel=1e-5)
    # "b" for "a b": one word is missing, whatever its score.
    assert risk[1].item() == pytest.approx(1.0)


def test_learning_from_it_makes_the_right_reading_win() -> None:
    torch.manual_seed(2)
    model = toy_model(2)
    # Blanks are likely: readings are short, and the wanted one is not the best.
    with torch.no_grad():
        model.joiner.output.bias[0] += 3.0
    encoded = torch.randn(1, 4, SMALL.joint).requires_grad_()
    frames, search = torch.tensor([4]), Search(width=8)
    others = readings(model, encoded, frames, search)[0]
    texts = [decode(reading.labels) for reading in others]
    said = next(text for text in texts[1:] if text and text != texts[0])
    targets = torch.tensor([encode(said)])
    optimiser = torch.optim.Adam([encoded, *model.joiner.parameters()], lr=0.1)
    risks = []
    for _ in range(12):
        labels = torch.tensor([targets.shape[1]])
        risk = expected_errors(model, encoded, frames, targets, labels, search)
        optimiser.zero_grad()
        risk.sum().backward()
        optimiser.step()
        risks.append(float(risk.detach()))
    assert risks[-1] < 0.1 * risks[0]
    assert decode(readings(model, encoded, frames, search)[0][0].labels) == said
