"""A toy bundle learns to hear somebody who sings in another key, and still hears the others."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.bundle.manifest import load_bundle
from agent.update import selftest
from agent.update.overlay_format import apply_overlay, read_overlay
from converters.adaptation.choosing import decide, heard
from converters.adaptation.errors import NoGainError, RecordingsError
from converters.adaptation.grid import integers_of
from converters.adaptation.recordings import Recording
from converters.adaptation.tuning import Plan
from converters.adaptation.whole_run import Adapted, Base, adapt, prepare, tried
from converters.cli import main
from converters.export.graph_reader import read_constants
from tests.converters.adaptation.toy import BUNDLE_KEY, PERSONS_KEY, sung, texts


@pytest.fixture(scope="module")
def base(toy_bundle: Path) -> Base:
    return prepare(toy_bundle, dropout=0.0)


def person(key: float, count: int = 12) -> list[Recording]:
    return [Recording(f"{i:03d}", sung(t, key), t) for i, t in enumerate(texts(count, 3))]


def test_the_command_makes_an_overlay_that_helps_the_person_and_spares_the_others(
    toy_bundle: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay, adapted = tmp_path / "me.overlay", tmp_path / "adapted"
    assert main([
        "adapt", "--bundle", str(toy_bundle), "--recordings", str(recordings), "--rate", "0.002",
        "--hold", "100", "--share", "1", "--steps", "30", "--out", str(overlay),
        "--out-bundle", str(adapted), "--json", str(tmp_path / "figures.json"),
    ]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    before, after = figures["held_out"]["before"], figures["held_out"]["after"]
    assert before["words"]["errors"] >= 7
    assert after["characters"]["errors"] <= 0.5 * before["characters"]["errors"]
    assert f"{before['words']['errors']} -> {after['words']['errors']} word errors of 12" in printed
    assert figures["selftest"]["after"] <= figures["selftest"]["before"] + 1
    # What was written is what was measured.
    measured = selftest.run(load_bundle(adapted), load_bundle(toy_bundle))
    assert measured.errors == figures["selftest"]["after"]
    # On the board the overlay gives the adapted bundle, bit for bit.
    apply_overlay(read_overlay(overlay), toy_bundle, tmp_path / "applied")
    for path in sorted(file for file in adapted.rglob("*") if file.is_file()):
        applied = tmp_path / "applied" / path.relative_to(adapted)
        assert applied.read_bytes() == path.read_bytes(), path
    # Scales, biases and norms are those of the release.
    for file in ("encoder_slow.tflite", "predictor.tflite", "joiner.tflite"):
        old, new = read_constants(toy_bundle / file), read_constants(adapted / file)
        same = {name for name in old if old[name].values.tobytes() == new[name].values.tobytes()}
        assert {name for name in old if old[name].values.dtype != "int8"} <= same


def test_who_is_understood_already_gets_no_overlay(base: Base) -> None:
    with pytest.raises(NoGainError, match="held out, 0 are wrong before"):
        adapt(base, person(BUNDLE_KEY), Plan(rate=0.003, strength=1.0, steps=4, every=4))


def test_too_few_recordings_are_refused(base: Base) -> None:
    with pytest.raises(RecordingsError, match="2 recordings are too few"):
        adapt(base, person(PERSONS_KEY, 2), Plan())


def joiner_times(base: Base, factor: float) -> Adapted:
    """An adaptation that has done nothing but multiply the joiner's weights."""
    model, name = copy.deepcopy(base.model), "joiner.output.weight"
    with torch.no_grad():
        weight = model.get_parameter(name)
        weight.copy_(base.places[name].snap(factor * weight))
    choice = decide(heard(base.model, person(PERSONS_KEY)), {})
    return Adapted(choice, model, integers_of(model, base.places), changed=1, total=1)


def test_what_harms_others_is_refused(base: Base) -> None:
    with pytest.raises(NoGainError, match="Others would suffer: the self-test has"):
        tried(base, joiner_times(base, -1000.0))


def test_less_is_kept_if_the_whole_harms_others(base: Base) -> None:
    found, after = tried(base, joiner_times(base, -0.3))
    assert found.part in (0.7, 0.4)
    assert after.errors <= base.before.errors + 1
    # What is kept lies between the bundle's weights and those learnt.
    name = "joiner.output.weight"
    before = integers_of(base.model, base.places)[name].astype(float)
    np.testing.assert_allclose(
        found.integers[name], (1.0 - 1.3 * found.part) * before, atol=1.01
    )
