from __future__ import annotations

import pytest

from converters.synthesis.dictionary import pronunciations
from converters.synthesis.errors import MissingResourceError
from converters.synthesis.name_lists import held_names
from converters.synthesis.recipe import CELLS, Recipe, plan, utterance_seed
from converters.synthesis.voices.speakers import speakers, weighted_speakers

try:
    pronunciations()
except MissingResourceError as error:
    pytest.skip(str(error), allow_module_level=True)


def test_an_utterance_does_not_depend_on_what_came_before():
    recipe = Recipe.make("command", 7)
    forward = [plan(recipe, index) for index in range(20)]
    backward = [plan(recipe, index) for index in reversed(range(20))]
    assert forward == backward[::-1]


def test_seed_kind_and_phrase_each_change_the_utterances():
    recipes = [
        Recipe.make("command", 1),
        Recipe.make("command", 2),
        Recipe.make("test", 1),
        Recipe.make("wake", 1, "computer"),
        Recipe.make("wake", 1, "robot"),
        Recipe.make("wake", 1, "robot", "dev"),
    ]
    assert len({utterance_seed(recipe, 0) for recipe in recipes}) == len(recipes)


def test_the_phrase_matters_to_wake_pools_only():
    assert Recipe.make("command", 1, "computer") == Recipe.make("command", 1, "robot")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_four_cells_take_turns(split):
    recipe = Recipe.make(split, 1)
    for index in range(24):
        planned = plan(recipe, index)
        assert planned.cell == CELLS[index % 4]
        assert (planned.intent == "free") == planned.cell.startswith("free")
        if planned.cell.endswith("held"):
            assert planned.names
            assert set(planned.names) <= held_names(split)
        else:
            assert not set(planned.names) & (held_names("dev") | held_names("test"))


def test_frozen_cells_hold_a_name_in_every_sentence_and_differ_in_whose():
    recipe = Recipe.make("cells", 1)
    assert recipe.split == "test"
    held = held_names("dev") | held_names("test")
    for index in range(24):
        planned = plan(recipe, index)
        assert planned.cell == CELLS[index % 4]
        assert planned.names
        if planned.cell.endswith("held"):
            assert set(planned.names) <= held_names("test")
        else:
            assert not set(planned.names) & held
        assert planned.speaker.voice == "rms"


def test_held_out_voices_are_in_their_split_only():
    voices = {split: {s.voice for s in speakers(split)} for split in ("train", "dev", "test")}
    assert voices["dev"] == {"ked"}
    assert voices["test"] == {"rms"}
    assert not voices["train"] & {"ked", "rms"}
    assert {"awb", "slt", "kal16", "kal", "slt_hts"} <= voices["train"]


def test_shares_of_the_training_speakers():
    who, weights = weighted_speakers("train")
    assert len({speaker.name for speaker in who}) == len(who)
    assert sum(weights) == pytest.approx(1)
    klatt = sum(w for s, w in zip(who, weights, strict=True) if s.engine == "espeak")
    assert klatt == pytest.approx(0.25)


def test_the_woman_s_formants_are_not_pushed_up():
    assert all(s.formant <= 1.01 for s in speakers("train") if s.voice in {"slt", "slt_hts"})


def test_wake_examples_take_turns_and_mark_the_phrase():
    recipe = Recipe.make("wake", 3, "computer")
    cells = set()
    for index in range(120):
        planned = plan(recipe, index)
        cells.add(planned.cell)
        if index % 2:
            assert planned.cell.startswith("negative-")
            assert planned.phrase_words == 0
            assert "computer" not in planned.text
        else:
            assert planned.text.startswith("computer")
            assert planned.phrase_words == 1
            assert len(planned.parts) == (2 if planned.cell == "positive-gap" else 1)
    assert {"positive-alone", "positive-gap", "positive-together", "negative-near"} <= cells


def test_manners_keep_to_the_speaker_s_rates():
    for index in range(50):
        planned = plan(Recipe.make("wake", 3, "computer"), index)
        slowest, fastest = planned.speaker.rates
        assert all(slowest <= part.manner.rate <= fastest for part in planned.parts)


def test_the_definition_names_everything_the_audio_depends_on():
    definition = Recipe.make("test", 4).definition({"flite": "flite 2.2"})
    assert definition["seed"] == 4
    assert definition["split"] == "test"
    assert definition["engines"] == {"flite": "flite 2.2"}
    assert isinstance(definition["sources"], dict)
    assert set(definition["sources"]) == {"names", "faker"}
    assert Recipe.make("test", 4).engines() == ("flite",)
