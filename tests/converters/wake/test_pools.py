from __future__ import annotations

import numpy as np
import pytest

from converters.synthesis.pool import PoolItem, PoolWriter
from converters.wake.pools import pool_utterances, says
from converters.wake.recipe import gather, held_back, plan_bank
from converters.wake.recordings import Role


def item(index, text, cell, kind="wake", end=None):
    return PoolItem(
        index=index, offset=0, samples=0, seconds=0.0, text=text, speaker="v", engine="e",
        voice="v", split="train", kind=kind, cell=cell, intent="", phrase_end_s=end,
    )  # fmt: skip


@pytest.fixture
def pool(tmp_path):
    with PoolWriter(tmp_path, {"kind": "wake", "seed": 4, "split": "train"}) as writer:
        ramp = np.arange(-8000, 8000, dtype=np.int16)
        writer.append(item(0, "computer", "positive-alone", end=0.9), ramp)
        writer.append(item(1, "commuter", "negative-near"), ramp[:4000])
        writer.append(item(2, "stop the music", "negative-command"), ramp)
        writer.append(item(3, "buy a computer", "template", kind="command"), ramp)
        writer.append(item(4, "stop", "template", kind="command"), ramp)
    return tmp_path


def test_roles_and_samples(pool):
    found = list(pool_utterances(pool, "computer"))
    assert [(u.role, u.word_end_s) for u in found] == [
        (Role.POSITIVE, 0.9),
        (Role.CONFUSABLE, None),
        (Role.SPEECH, None),
        (Role.SPEECH, None),  # "buy a computer" is neither and is left out
    ]
    assert len({u.key for u in found}) == 4
    assert not any(u.real for u in found)
    assert found[1].load().dtype == np.float32
    assert found[1].load()[0] == -8000 / 32768
    assert len(found[1].load()) == 4000


def test_what_sounds_like_the_phrase_is_left_out():
    phrase = "k ah m p y uw t er".split()
    assert says("y uw k ah m p y uw t er ah m".split(), phrase)
    assert says("k ah m p y uw t ah".split(), phrase)  # one vowel is no difference to learn
    assert not says("k ao m p y uw t ah".split(), phrase)  # two are
    assert not says("k ah m y uw t er".split(), phrase)  # nor is a consonant: "commuter"
    assert not says("k ah m p y uw".split(), phrase)
    assert not says([], phrase)


def test_a_part_is_held_back_unless_there_is_a_tuning_pool(pool):
    found = list(pool_utterances(pool, "computer"))
    alone = gather([], found, [])
    assert {u.key for u in alone.tuning} == {u.key for u in found if held_back(u.key)}
    assert {u.key for u in alone.training} | {u.key for u in alone.tuning} == {u.key for u in found}
    both = gather([], found[:2], found[2:])
    assert [u.key for u in both.training] == [u.key for u in found[:2]]
    assert [u.key for u in both.tuning] == [u.key for u in found[2:]]


def test_rare_kinds_get_more_copies_up_to_a_limit(pool):
    plan = plan_bank(list(pool_utterances(pool, "computer")))
    assert all(1 <= planned.copies <= 60 for planned in plan)
