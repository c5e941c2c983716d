"""Greedy decoding against a joiner whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.errors import BundleFileError
from agent.hearing import joint
from agent.hearing.joint import Joint, PredictionTable
from agent.hearing.transducer import Token, Transducer
from tests.agent.hearing.known_joint import LABELS, encoding, joiner, predictor


def _log_softmax(logits: list[float], label: int) -> float:
    return logits[label] - math.log(sum(math.exp(value) for value in logits))


def test_labels_until_blank():
    decoder = Transducer(Joint(predictor(), joiner()))
    # Label 2 wins, and with it as the last one label 1, and with that as the last one label 2 again
    # (2 is no longer the last), and so on for ever: 10 labels at most in one frame.
    assert decoder.process(encoding(0, 1, 2, -5), 0) == 10
    assert [token.label for token in decoder.tokens] == [2, 1] * 5
    decoder.reset()
    # One label above the blank: it is emitted once, then the blank wins.
    assert decoder.process(encoding(0, -1, 2, -5), 0) == 1
    assert decoder.process(encoding(0, -1, 2, -5), 1) == 0
    assert decoder.process(encoding(0, 3, -2, -5), 2) == 1
    assert [(token.label, token.frame) for token in decoder.tokens] == [(2, 0), (1, 2)]


def test_log_probabilities_of_labels_and_path():
    decoder = Transducer(Joint(predictor(), joiner()))
    decoder.process(encoding(0, -1, 2, -5), 7)
    emitted = _log_softmax([0, -1, 2, -5], 2)
    blank = _log_softmax([0, -1, -8, -5], 0)
    (token,) = decoder.tokens
    assert (token.label, token.frame) == (2, 7)
    assert token.log_prob == pytest.approx(emitted, abs=1e-5)
    assert decoder.log_prob == pytest.approx(emitted + blank, abs=1e-5)


def test_a_blank_run_counts_frames_without_a_label():
    decoder = Transducer(Joint(predictor(), joiner()))
    runs = []
    for frame, logit in enumerate((-1, -1, 5, -1, -1)):
        decoder.process(encoding(0, logit, -9, -9), frame)
        runs.append(decoder.blank_run)
    assert runs == [1, 2, 0, 1, 2]


def test_the_inputs_of_the_joiner_may_come_in_any_order():
    frames = [encoding(*row) for row in np.random.default_rng(0).normal(0, 3, (50, LABELS))]
    answers = []
    for swapped in (False, True):
        decoder = Transducer(Joint(predictor(), joiner(swapped=swapped)))
        for number, heard in enumerate(frames):
            decoder.process(heard, number)
        answers.append((decoder.tokens, decoder.log_prob))
    assert answers[0] == answers[1]
    assert len(answers[0][0]) > 10


def test_reset_goes_back_to_the_state_after_construction():
    frames = [encoding(*row) for row in np.random.default_rng(1).normal(0, 3, (30, LABELS))]
    decoder = Transducer(Joint(predictor(), joiner()))

    def decode() -> tuple[list[Token], float]:
        for number, heard in enumerate(frames):
            decoder.process(heard, number)
        return decoder.tokens, decoder.log_prob

    first = decode()
    decoder.reset()
    assert (decoder.tokens, decoder.log_prob, decoder.blank_run) == ([], 0.0, 0)
    assert decode() == first


def test_predictions_are_computed_once_and_the_table_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(joint, "MOST_PREDICTIONS", 3)
    table = PredictionTable(predictor(), LABELS)
    pairs = [(0, 0), (0, 1), (1, 2), (0, 1), (2, 3), (3, 3), (0, 0), (1, 2)]
    for older, last in pairs:
        row = table[older, last]
        assert row[older] == row[LABELS + last] == 1
        assert row.sum() == 2
        assert len(table._rows) <= 3


def test_no_probability_overflows():
    decoder = Transducer(Joint(predictor(), joiner()))
    decoder.process(encoding(1000, 0, 0, 0), 0)
    assert decoder.log_prob == 0.0
    decoder.process(encoding(-1000, 1000, -1000, -1000), 1)
    assert decoder.tokens[0].log_prob == 0.0
    assert math.isfinite(decoder.log_prob)


def test_models_that_do_not_belong_together_are_refused():
    with pytest.raises(BundleFileError, match="do not belong together"):
        Transducer(Joint(predictor(dim=6), joiner()))
    with pytest.raises(BundleFileError, match="predictor has the inputs"):
        Transducer(Joint(predictor(), predictor()))
