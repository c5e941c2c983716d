"""Logs of trainings as curves over hours, figures over hours of real speech, and the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from converters import cli
from converters.evaluation.curves import CurveError, against_hours, read_run

LOG: list[dict[str, Any]] = [
    {"step": 50, "minutes": 0.1, "loss": 0.0, "phones": 2.4, "audio_s_per_s": 280.0},
    {"step": 100, "hours_seen": 4.0, "word_error_rate": {"coffee": 0.9, "ked": 1.1}},
    {"step": 150, "minutes": 0.3, "loss": 0.8, "phones": 1.2, "audio_s_per_s": 280.0},
    {"news": "Making features has failed."},
    {"step": 200, "hours_seen": 12.0, "word_error_rate": {"coffee": 0.5, "ked": 0.9}},
    {"step": 250, "minutes": 0.5, "loss": 0.6, "phones": 1.0, "audio_s_per_s": 280.0},
]


def _run(folder: Path, log: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    return folder


def test_steps_are_placed_by_the_hours_of_evaluations(tmp_path: Path) -> None:
    run = read_run(_run(tmp_path / "run7", LOG))
    assert run.name == "run7"
    # 100 steps heard 4 h, the next 100 heard 8 h; behind the last one it goes on at that pace.
    assert run.losses["phones"] == [(2.0, 2.4), (8.0, 1.2), (16.0, 1.0)]
    # Phones alone were learnt at first: that there was no loss yet is no loss of nothing.
    assert run.losses["loss"] == [(8.0, 0.8), (16.0, 0.6)]
    assert run.word_errors["coffee"] == [(4.0, 0.9), (12.0, 0.5)]
    assert run.word_errors["ked"] == [(4.0, 1.1), (12.0, 0.9)]


def test_a_run_that_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match="give the folder of a training run"):
        read_run(tmp_path)
    with pytest.raises(CurveError, match="no evaluation yet"):
        read_run(_run(tmp_path / "young", LOG[:1]))


def _figures(path: Path, **rates: float) -> Path:
    results = [{"set": name, "word_errors": {"rate": rate}} for name, rate in rates.items()]
    path.write_text(json.dumps({"results": results}))
    return path


def test_figures_are_joined_by_set_in_the_order_of_hours(tmp_path: Path) -> None:
    some = _figures(tmp_path / "some.json", coffee=0.3, books=0.6)
    none = _figures(tmp_path / "none.json", coffee=0.5)
    found = against_hours([(5.0, some), (0.0, none)])
    assert found == {"coffee": [(0.0, 0.5), (5.0, 0.3)], "books": [(5.0, 0.6)]}
    (tmp_path / "wake.json").write_text('{"results": {"a": 1}}')
    with pytest.raises(CurveError, match=r"wake\.json holds no figures of a recogniser"):
        against_hours([(0.0, tmp_path / "wake.json")])


def test_the_command_draws_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, picture = _run(tmp_path / "run7", LOG), tmp_path / "curves.png"
    assert cli.main(["curves", str(run), "--out", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "run7, coffee: 50.0% after 12 h heard, at best 50.0% after 12 h" in told
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    figures = _figures(tmp_path / "some.json", coffee=0.3)
    assert cli.main(["curves", "--real-hours", f"5={figures}", "--out", str(picture)]) == 0
    assert "coffee: 5 h 30.0%" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.read_bytes() != first


@pytest.mark.parametrize("given", ["five=x.json", "5", "-1=x.json", "inf=x.json", "5="])
def test_hours_without_a_file_are_refused(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["curves", f"--real-hours={given}", "--out", str(tmp_path / "x.png")])
    assert "is not HOURS=FILE" in capsys.readouterr().err


def test_one_picture_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["curves", "--out", str(tmp_path / "x.png")]) == 1
    assert "give RUN folders or --real-hours" in capsys.readouterr().err
