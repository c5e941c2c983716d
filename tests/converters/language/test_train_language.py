"""``train-language`` from the command line: what it counts, keeps and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.hearing.language_model import SHORT, LanguageModel
from converters.asr.text import encode
from converters.cli import main
from converters.commands.train_language import least_counts, surprise
from converters.synthesis.text import TextGenerator

_COUNT = ["--sentences", "3000", "--order", "7", "--keep-from", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("language") / "language.npz"
    assert main(["train-language", "--out", str(out), *_COUNT]) == 0
    return out


def test_it_predicts_held_out_sentences_better_than_two_labels_do(trained: Path):
    model = LanguageModel(trained.read_bytes())
    generator = TextGenerator(11, "dev", free=False)
    sentences = [generator.sentence().text for _ in range(100)]
    assert surprise(model, sentences, model.order) < surprise(model, sentences, SHORT) - 0.2


def test_the_same_command_gives_the_same_bytes(trained: Path, tmp_path: Path):
    again = tmp_path / "again.npz"
    assert main(["train-language", "--out", str(again), *_COUNT]) == 0
    assert again.read_bytes() == trained.read_bytes()


def test_own_sentences_become_likely(trained: Path, tmp_path: Path):
    text, out = tmp_path / "own.txt", tmp_path / "own.npz"
    text.write_text("Feed the axolotl, please!\n\n", encoding="utf-8")
    assert main(["train-language", "--out", str(out), "--text", str(text), *_COUNT]) == 0
    own = ["feed the axolotl please"]
    before, after = LanguageModel(trained.read_bytes()), LanguageModel(out.read_bytes())
    assert surprise(after, own, after.order) < surprise(before, own, before.order) - 1.0
    history = 0
    for label in encode("feed the axol"):
        history = after.extend(history, label)
    assert after.gains(history)[encode("o")[0]] > 0.5


@pytest.mark.parametrize("order", ["3", "13"])
def test_orders_that_cannot_be_stored_are_refused(
    order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "no.npz"
    assert main(["train-language", "--out", str(out), "--order", order]) == 2
    assert "--order must be from 4 to 12" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_kept_has_its_history_kept_too():
    assert least_counts(10, 6) == (1, 1, 2, 4, 6, 12, 18, 24, 30, 36)
    assert least_counts(6, 1) == (1, 1, 2, 4, 4, 4)
