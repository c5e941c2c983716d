from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.bundle.runtime import Model
from converters.wake.augmentation import Augmenter
from converters.wake.detection import Rule, hit
from converters.wake.export import wake_tflite
from converters.wake.feature_bank import Planned, build_bank, read_bank
from converters.wake.judging import judge
from converters.wake.mining import mine
from converters.wake.model import WakeConfig, scores
from converters.wake.recordings import Role
from converters.wake.streams import Mixture
from converters.wake.training import Schedule, Trainer, frame_loss, learning_rate, phone_loss
from converters.wake.tuning_set import TuningSet
from tests.converters.wake.toy import RATE, utterances


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bank")
    build_bank(folder, [Planned(u, 4) for u in utterances(16)], Augmenter(), 1)
    return read_bank(folder)


@pytest.fixture(scope="module")
def tuning():
    return TuningSet(utterances(5, "other"), 1)


def trainer(entries, tuning, steps, checkpoint=None, **schedule):
    return Trainer(
        entries=entries,
        tuning=tuning,
        config=WakeConfig(16, dilations=(1, 2, 4, 4)),
        schedule=Schedule(steps, streams=8, warm_up=10, **schedule),
        mixture=Mixture(frames=60),
        seed=3,
        checkpoint=checkpoint,
    )


def test_loss_by_hand():
    # log odds 0 costs log 2 whatever the answer; one yes of weight 1, one no of weight 4 and one
    # frame that does not count: (1 + 4) log 2 / 5
    logits = torch.zeros(1, 3)
    target = torch.tensor([[1.0, 0.0, 0.0]])
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    assert float(frame_loss(logits, target, weight, 4.0)) == pytest.approx(np.log(2))
    # log odds 2 for the yes: log(1 + e^-2) = 0.1269, (0.1269 + 4 * 0.6931) / 5 = 0.5799
    logits = torch.tensor([[2.0, 0.0, 9.0]])
    assert float(frame_loss(logits, target, weight, 4.0)) == pytest.approx(0.5799, abs=1e-4)


def test_the_rate_rises_and_falls():
    schedule = Schedule(1000, warm_up=100, peak_rate=1.0)
    assert learning_rate(schedule, 0) == pytest.approx(0.01)
    assert learning_rate(schedule, 99) == pytest.approx(1.0)
    assert learning_rate(schedule, 550) == pytest.approx(0.505)  # half way down the cosine
    assert learning_rate(schedule, 1000) == pytest.approx(0.01)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(entries, tuning, tmp_path):
    whole = trainer(entries, tuning, 12, evaluations=3)
    whole.run()
    path = tmp_path / "checkpoint.pt"
    trainer(entries, tuning, 12, path, evaluations=3).run(until=7)
    resumed = trainer(entries, tuning, 12, path, evaluations=3)
    assert resumed.step == 7
    resumed.run()
    for kind in ("model", "average", "best"):
        a, b = getattr(whole, kind).state_dict(), getattr(resumed, kind).state_dict()
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert [h["step"] for h in resumed.history] == [4, 8, 12]


def test_a_checkpoint_of_other_settings_is_refused(entries, tuning, tmp_path):
    path = tmp_path / "checkpoint.pt"
    trainer(entries, tuning, 12, path).run(until=1)
    with pytest.raises(ValueError, match="other settings"):
        trainer(entries, tuning, 13, path)


@pytest.fixture(scope="module")
def trained(entries, tuning):
    run = trainer(entries, tuning, 320, peak_rate=1e-2, average=0.9, evaluations=4)
    run.run()
    return run


def test_it_learns_the_toy_word_and_not_its_reverse(trained, tuning):
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert trained.best_merit > 0.3  # half of it in noise about as loud as the word
    found = tuning.scores(trained.best)
    clean = tuning.positives(found, condition="clean")
    assert sum(hit(each, Rule(0.5), end) is None for each, end in clean) <= 1


def test_scores_do_not_depend_on_the_neighbours_in_a_batch(trained, tuning):
    together = tuning.scores(trained.best)
    for number in (0, len(tuning.tracks) - 1):
        frames = torch.from_numpy(tuning.tracks[number].frames.astype(np.float32)[None])
        assert np.allclose(scores(trained.best, frames)[0].numpy(), together[number], atol=1e-5)


def test_the_file_decides_as_the_network_and_is_judged(trained, tuning):
    model = Model(wake_tflite(trained.best, "toy"))
    judged = judge(model, tuning, Rule(0.5))
    assert 0.2 < judged.rule.threshold < 1.0
    assert 0 <= judged.latency_frames <= 10
    network = tuning.positives(tuning.scores(trained.best), condition="clean")
    missed = sum(hit(each, judged.rule, end) is None for each, end in network)
    assert abs(judged.figures["misses"]["real, clean"]["k"] - missed) <= 1
    assert judged.figures["misses"]["real, clean"]["n"] == 5


def test_the_threshold_hears_further_sound_and_counts_its_hours(trained, tuning):
    model = Model(wake_tflite(trained.best, "toy"))
    alone = judge(model, tuning, Rule(0.5))
    further = [u for u in utterances(4, "further") if u.role is not Role.POSITIVE]
    more = judge(model, tuning, Rule(0.5), further)
    seconds = sum(len(u.load()) for u in further) / RATE
    assert more.chosen.hours == pytest.approx(alone.chosen.hours + seconds / 3600)
    # The wake word itself, said to be none, drives the threshold up.
    words = [replace(u, role=Role.SPEECH) for u in utterances(9, "more") if "yes" in u.key]
    assert judge(model, tuning, Rule(0.5), words).rule.threshold > alone.rule.threshold


def test_real_positives_meet_several_noises(tuning):
    """Dev speakers are few; each of their words is heard in three draws of noise and room."""
    counts = {c: len(tuning.positives([np.zeros(0, np.float32)] * len(tuning.tracks), condition=c))
              for c in ("clean", "5 dB", "0 dB", "room")}  # fmt: skip
    assert counts == {"clean": 5, "5 dB": 15, "0 dB": 15, "room": 15}


def test_mining_finds_high_scores_outside_positives(trained, entries):
    places = mine(trained.average, entries, at_least=0.0, at_most=20)
    assert 0 < len(places) <= 20
    assert all(entries[p.entry].role is not Role.POSITIVE for p in places)
    assert len({p.entry for p in places}) == len(places)
    assert mine(trained.average, entries, at_least=1.1) == []


def test_near_misses_never_crowd_out_speech(trained, entries):
    near = [replace(e, role=Role.CONFUSABLE) for e in entries if e.role is Role.SPEECH]
    both = [*near, *(e for e in entries if e.role is Role.SPEECH)]
    places = mine(trained.average, both, at_least=0.0, at_most=8)
    kept = [both[place.entry].role for place in places]
    assert kept.count(Role.CONFUSABLE) == 2
    assert kept.count(Role.SPEECH) == 6


def test_phone_loss_by_hand():
    # Even chances of 4 phones: log 4 wherever a phone is known, whatever it is.
    phones = torch.tensor([[[0, 1, 2, 3], [-1, -1, 2, 2], [-1, -1, -1, -1]]])
    assert float(phone_loss(torch.zeros(1, 3, 4), phones)) == pytest.approx(np.log(4))
    sure = torch.full((1, 3, 4), -30.0)
    sure[..., 2] = 0.0
    assert float(phone_loss(sure[:, 1:], phones[:, 1:])) == pytest.approx(0.0, abs=1e-6)
    assert float(phone_loss(sure[:, 2:], phones[:, 2:])) == 0.0
