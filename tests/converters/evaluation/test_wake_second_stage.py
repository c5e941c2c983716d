"""What a second stage saves and costs, and what is chosen, by hand."""

from __future__ import annotations

import json

import pytest

from converters.evaluation.intervals import rate, share
from converters.evaluation.wake_excerpts import Rise
from converters.evaluation.wake_questions import Answers, Asked, Pair
from converters.evaluation.wake_second_stage import Study, as_json, choose, parts, print_study
from converters.synthesis.pool import PoolWriter
from converters.wake.recordings import Recording, Role

REFRACTORY_S = 1.52  # 38 frames


def stream(*answers, end=None):
    """A stream whose score rises from 0.1 at given frames: (frame, score, agreement)."""
    rises = tuple(Rise(frame, 0.1, score) for frame, score, _ in answers)
    return Asked("k", end, rises, tuple(agreement for _, _, agreement in answers))


def group(name, asked, streams=100, hours=2.0):
    return Answers(name, streams, hours, REFRACTORY_S, list(asked))


def words(agreements, score=0.9, name="real dev: clean", streams=200):
    # Frame 24 ends at 1.00 s.
    return group(name, [stream((24, score, a), end=1.0) for a in agreements], streams)


def test_events_at_a_pair_by_hand():
    # Frames end at 0.04, 1.00, 1.56 and 3.04 s. The first reaches thresholds up to 0.5 only. After
    # an event 38 frames are deaf: from 0.04 s to 1.56 s, from 1.00 s to 2.52 s, from 1.56 s to
    # 3.08 s.
    asked = stream((0, 0.5, 0.9), (24, 0.9, 0.2), (38, 0.9, 0.4), (75, 0.9, 0.4))
    assert asked.events(Pair(0.5), REFRACTORY_S) == pytest.approx([0.04, 1.56])
    assert asked.events(Pair(0.6), REFRACTORY_S) == pytest.approx([1.0, 3.04])
    assert asked.events(Pair(0.6, 0.3), REFRACTORY_S) == pytest.approx([1.56])
    assert asked.events(Pair(0.91), REFRACTORY_S) == []


def test_an_event_far_from_the_word_is_none_of_it():
    early = stream((0, 0.9, 0.5), (50, 0.9, 0.5), end=2.0)
    assert early.heard(Pair(0.5), REFRACTORY_S)
    assert not stream((0, 0.9, 0.5), end=2.0).heard(Pair(0.5), REFRACTORY_S)
    assert stream((0, 0.9, 0.5)).heard(Pair(0.5), REFRACTORY_S)  # nobody knows where it ends


def test_columns_add_up_groups_and_count_near_misses_by_clip():
    twice = stream((0, 0.9, 0.3), (75, 0.9, 0.3))
    study = Study([
        words([0.1, 0.3], streams=3),
        words([0.2], name="real dev + command: clean", streams=2),
        group("(c) near misses of one", [twice], streams=10),
        group("(c) near misses of other", [twice], streams=10),
        group("(d) real noise and music, once", [twice]),
        words([0.1], name="real test, within a longer phrase: clean"),
    ])  # fmt: skip
    assert study.counts(Pair(0.5, 0.15)) == {
        "clean": share(2, 3),
        "clean + command": share(1, 2),
        "all": share(3, 5),
        "(c) near misses": share(2, 20),
        "(d) noise, music": rate(2, 2.0),
    }
    assert study.accepted(Pair(0.5)) == [2, 2]


def test_the_limit_costs_one_word_of_two_hundred():
    # One of 200 may be lost beside the one that the first stage misses: the limit is just above
    # the lowest agreement, and just below the next.
    dev = Study([words([0.02, 0.05, 0.07, *[0.3] * 196]), group("(a) real speech", [])])
    doubted = {pair.threshold: pair.limit for pair in choose(dev, 0.5).doubted}
    assert 0.02 < doubted[0.5] <= 0.05
    assert dev.missed(Pair(0.5, doubted[0.5])) == 2
    assert doubted[0.9] == doubted[0.3]


def test_the_best_pair_misses_fewer_and_accepts_no_more():
    # Half of the words only reach 0.6. So does a false accept, which the recogniser doubts more
    # than any word; one more reaches 0.9, and is there now as well.
    negatives = group("(a) real speech", [stream((0, 0.6, 0.05)), stream((0, 0.95, 0.5))])
    dev = Study([words([0.1] * 100, 0.6), words([0.4] * 100, 0.95), negatives])
    best = choose(dev, 0.9).best
    assert best.threshold == 0.3
    assert 0.05 < best.limit <= 0.1
    assert (dev.missed(best), dev.accepted(best)) == (200, [1])
    # Where the doubts are wrong there is nothing better than now.
    wrong = group("(a) real speech", [stream((0, 0.6, 0.7))])
    assert choose(Study([words([0.1] * 100, 0.6), wrong]), 0.9).best == Pair(0.9)


def test_what_is_of_the_test_never_chooses(tmp_path):
    def one(role, split):
        return Recording(tmp_path, "k", 1.0, split, True, role, "", "s")

    pools = []
    for split in ("dev", "test", "train"):
        with PoolWriter(tmp_path / split, {"kind": "wake", "seed": 1, "split": split}):
            pools.append(tmp_path / split)
    kept = [one(Role.SPEECH, "train"), one(Role.NOISE, "dev")]
    recordings = [*kept, one(Role.WORD, "test"), one(Role.POSITIVE, "dev")]
    found = parts(recordings, pools, 2.0)
    assert found["dev"].negatives == kept
    assert found["dev"].negatives_pools == [pools[0], pools[2]]
    assert found["test"].negatives == [kept[1], recordings[2]]
    assert found["test"].negatives_pools == [pools[1]]
    for part, sources in found.items():
        assert (sources.splits, sources.noise_split, sources.noise_hours) == ((part,), part, 2.0)


def test_tables_and_json_hold_the_counts(capsys):
    study = Study([words([0.1, 0.3], streams=3), group("(a) real speech", [stream((0, 0.9, 0.2))])])
    chosen = choose(study, 0.855)
    print_study("beep", 0.855, study, study, chosen)
    printed = capsys.readouterr().out
    assert '"beep", dev' in printed
    assert "1 of 3" in printed
    assert "1 in 2.00 h" in printed
    content = json.loads(json.dumps(as_json("beep", 0.855, {"dev": study}, chosen)))
    assert content["counts"]["dev"][0]["all"]["k"] == 1
    assert content["answers"]["dev"][1]["asked"][0]["agreements"] == [0.2]
