"""A network read back from a file answers as the file, whether asked or trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agent.bundle.runtime import Model
from agent.errors import BundleFileError
from converters.wake.export import wake_tflite
from converters.wake.judging import file_scores
from converters.wake.model import WakeConfig, WakeModel, scores
from converters.wake.warm_start import config_of, load_file


@pytest.fixture
def file(tmp_path):
    """A file of random weights with statistics unlike those of fresh layers."""
    torch.manual_seed(5)
    model = WakeModel(WakeConfig(16, dropout=0.0))
    model.set_feature_statistics(torch.linspace(-9, -6, 64), torch.linspace(1.0, 2.0, 64))
    model.train()
    for _ in range(30):
        model(torch.randn(4, 60, 256) * 2 - 7)
    path = tmp_path / "beep.tflite"
    path.write_bytes(wake_tflite(model, "beep"))
    return path


def test_it_answers_as_the_file(file):
    frames = torch.randn(8, 100, 256, generator=torch.Generator().manual_seed(1)) * 2 - 7
    assert config_of(file).channels == 16
    model = WakeModel(WakeConfig(16, dropout=0.0))
    # other statistics than the file was made with
    hops = frames.reshape(-1, 64)
    model.set_feature_statistics(hops.mean(0), hops.std(0))
    load_file(model, file, frames)
    wanted = file_scores(Model(file), frames[0].numpy())
    asked = scores(model, frames[:1])[0].numpy()
    assert np.abs(asked - wanted).max() < 0.01
    assert wanted.std() > 1e-4  # not a constant, which anything would match
    # In training, normalisation takes the statistics of the batch, which are those it was set to.
    model.train()
    with torch.no_grad():
        trained = torch.sigmoid(model(frames))[0].numpy()
    assert np.abs(trained - wanted).max() < 0.02


def test_what_is_no_wake_word_is_refused(tmp_path, file):
    other = tmp_path / "other.tflite"
    other.write_bytes(b"not a model")
    with pytest.raises(BundleFileError, match=r"other\.tflite"):
        config_of(other)
    with pytest.raises(BundleFileError, match="cannot be read"):
        config_of(tmp_path / "none.tflite")
