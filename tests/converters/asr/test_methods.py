"""What a teacher and a second view ask of a student, and which switches go together."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import pytest
import torch

from agent.errors import BundleFileError
from converters.asr.agreement import disagreement
from converters.asr.distillation import Teacher, read_teacher
from converters.asr.methods import Methods, Search, add_options, chosen
from converters.asr.model import Recogniser
from converters.asr.objective import Objective
from converters.asr.train import Trainer
from converters.cli import main
from converters.synthesis.phones import PHONES
from tests.converters.asr.test_training import SCHEDULE, SMALL, toy_rows


def a_batch() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(2, 12, 256), torch.zeros(2, 12, 256, dtype=torch.bool), torch.tensor([0, 3]),
        torch.tensor([[4, 5], [6, 0]]), torch.tensor([2, 1]), torch.full((2, 12, 4), -1),
    ]  # fmt: skip


def quiet(seed: int) -> Recogniser:
    torch.manual_seed(seed)
    return Recogniser(SMALL, dropout=0.0)


def test_nothing_is_asked_for_by_default() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert chosen(parser.parse_args([])) == Methods()
    losses = Objective(quiet(0), Methods())(*a_batch(), True)
    assert set(losses) == {"simple", "pruned", "phones"}


def test_a_student_that_hears_like_its_teacher_has_nothing_to_learn() -> None:
    methods = Methods(teacher=Teacher(quiet(1), phones=True))
    same = Objective(quiet(1), methods)(*a_batch(), True)["taught"]
    torch.testing.assert_close(same.detach(), torch.zeros(2), atol=1e-5, rtol=0.0)
    other = Objective(quiet(2), methods)(*a_batch(), True)["taught"]
    assert float(other.detach().min()) > 0.1


def test_the_distance_from_a_teacher_by_hand() -> None:
    teacher, student = quiet(1), quiet(1)
    # The student's encodings are all larger by one half, and its phones all as likely; the
    # teacher is sure of the first one.
    with torch.no_grad():
        student.encoder.output.bias.add_(0.5)
        for model in (teacher, student):
            model.phones.weight.zero_()
            model.phones.bias.zero_()
        teacher.phones.bias[0] = 50.0
    distance = Teacher(teacher, phones=True)
    frames, masks, context, *rest = a_batch()
    found = distance.distance(student(frames, masks, context, *rest), frames, context)
    # Phones of all 12 frames, encodings of those that are decoded: 12, and 9.
    expected = [12 * math.log(len(PHONES)) + 0.25 * count for count in (12, 9)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    hearing = student(frames, masks, context, *rest, False)
    found = distance.distance(hearing, frames, context)
    assert found.tolist() == pytest.approx([12 * math.log(len(PHONES))] * 2, rel=1e-4)


def test_a_run_teaches_phones_and_no_file_teaches_nothing(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, SMALL, SCHEDULE)
    trainer.save()
    frames, masks, context, *rest = a_batch()
    trained = trainer.model
    found = read_teacher(tmp_path).distance(
        trained(frames, masks, context, *rest), frames, context
    )
    torch.testing.assert_close(found.detach(), torch.zeros(2), atol=1e-5, rtol=0.0)
    with pytest.raises(BundleFileError):
        read_teacher(tmp_path / "none")


def test_a_teacher_learns_nothing_itself(tmp_path: Path) -> None:
    teacher = quiet(3)
    before = teacher.encoder.output.weight.clone()
    methods = Methods(teacher=Teacher(teacher, phones=True), teacher_weight=1.0)
    trainer = Trainer(tmp_path, SMALL, SCHEDULE, dropout=0.0, methods=methods)
    rows = toy_rows()
    seen = [trainer.step(rows.batch(0))["taught"] for _ in range(30)]
    assert seen[-1] < 0.8 * seen[0]
    torch.testing.assert_close(teacher.encoder.output.weight, before, rtol=0.0, atol=0.0)


def test_views_that_are_masked_alike_agree() -> None:
    model = quiet(1)
    frames, masks, *_ = a_batch()
    first = model.phone_logits(model.encoder.begin(frames, masks))
    alike = disagreement(model, first, frames, masks)
    torch.testing.assert_close(alike.detach(), torch.zeros(2), atol=1e-6, rtol=0.0)
    masks[0, :, :64] = True
    first = model.phone_logits(model.encoder.begin(frames, masks))
    apart = disagreement(model, first, frames, masks)
    assert float(apart.detach().min()) > 1e-4
    apart.sum().backward()
    gradient = model.phones.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0.0


def test_methods_ride_along_in_a_step(tmp_path: Path) -> None:
    methods = Methods(
        early=0.01, word_weight=1.0, search=Search(width=2), agree_weight=0.1,
        teacher=Teacher(quiet(2), phones=True),
    )  # fmt: skip
    schedule = dataclasses.replace(SCHEDULE, pruned_from=0)
    trainer = Trainer(tmp_path, SMALL, schedule, methods=methods)
    before = trainer.model.joiner.output.weight.clone()
    losses = trainer.step(toy_rows(budget=80).batch(0))
    assert set(losses) == {"simple", "pruned", "phones", "words", "taught", "agreed"}
    assert all(math.isfinite(loss) for loss in losses.values())
    assert not torch.equal(trainer.model.joiner.output.weight, before)


def test_errors_are_not_weighed_before_anything_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train-asr", "--pool", str(tmp_path), "--out", str(tmp_path), "--mwer-weight", "1"]
    assert main(asked) == 2
    assert "--from" in capsys.readouterr().err


def test_a_long_memory_is_for_comparing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = dataclasses.replace(SMALL, long_memory=True)
    Trainer(tmp_path / "run", shape, SCHEDULE).save()
    asked = ["train-asr", "--pool", str(tmp_path), "--out", str(tmp_path), "--mwer-weight", "1",
             "--from", str(tmp_path / "run")]  # fmt: skip
    assert main(asked) == 2
    assert "two labels only" in capsys.readouterr().err
    export = ["export", "--asr", str(tmp_path / "run"), "--wake", str(tmp_path), "--selftest",
              str(tmp_path), "--card", str(tmp_path), "--out", str(tmp_path / "bundle")]
    assert main(export) == 2
    assert "--long-memory" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_other_labels_are_for_comparing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = dataclasses.replace(SMALL, labels=41)
    Trainer(tmp_path / "run", shape, SCHEDULE).save()
    asked = ["train-asr", "--pool", str(tmp_path), "--out", str(tmp_path), "--labels", "sounds",
             "--from", str(tmp_path / "run")]  # fmt: skip
    assert main(asked) == 2
    assert "begins anew" in capsys.readouterr().err
    export = ["export", "--asr", str(tmp_path / "run"), "--wake", str(tmp_path), "--selftest",
              str(tmp_path), "--card", str(tmp_path), "--out", str(tmp_path / "bundle")]
    assert main(export) == 2
    assert "--labels" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_unknown_labels_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train-asr", "--out", str(tmp_path), "--labels", "syllables"])
    assert "pieces:256" in capsys.readouterr().err
