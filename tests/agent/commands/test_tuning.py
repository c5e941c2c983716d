"""`replay` and `meter`: what an owner sees when tuning, on recordings of tones."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from agent import cli
from tests.agent.toy_bundle import tones, write_sound


@pytest.fixture
def run(toy_directory: Path, capsys: pytest.CaptureFixture[str]):
    def run(command: str, *arguments: object) -> tuple[int, list[str], str]:
        status = cli.main([command, "--bundle", str(toy_directory), *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return run


def test_replay_says_what_wake_says_and_what_else_would_fire(run, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab...*."))
    _, (line,), _ = run("wake", "--json", path)
    wake = json.loads(line)
    status, (line,), _ = run("replay", "--json", path)
    answer = json.loads(line)
    assert status == 0
    assert list(answer) == [
        *("path", "word", "threshold", "audio_s", "detections", "close_calls", "other_thresholds"),
    ]
    assert [d["score"] for d in answer["detections"]] == [d["score"] for d in wake["detections"]]
    assert len(answer["detections"]) == 2
    # The tones are loud: amplitude 0.3 is -13.5 dBFS where the word fills the window.
    assert -20 < answer["detections"][0]["level_dbfs"] < -13
    assert answer["audio_s"] == pytest.approx(0.2 + 0.6 + 0.32 + 3 + 0.6 + 1, abs=0.04)
    counts = [each["detections"] for each in answer["other_thresholds"]]
    assert counts == sorted(counts, reverse=True)


def test_another_threshold_turns_detections_into_close_calls(run, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab."))
    _, (line,), _ = run("replay", "--json", "--threshold", 1.0, path)
    answer = json.loads(line)
    assert answer["detections"] == []
    assert answer["close_calls"][0]["score"] > 0.5
    status, lines, _ = run("replay", "--threshold", 1.0, path)
    assert status == 0
    assert "0 detected" in lines[0]
    assert any("close" in line for line in lines[1:])
    assert lines[-1].startswith("  detections at other thresholds: 1 at 0.3")


def test_the_picture_is_written(run, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab."))
    picture = tmp_path / "a.svg"
    assert run("replay", "--plot", picture, path)[0] == 0
    text = picture.read_text()
    assert text.startswith("<svg")
    assert "a.wav" in text
    status, _, errors = run("replay", "--plot", tmp_path / "a.png", path)
    assert (status, "must end in .svg" in errors) == (2, True)
    status, _, errors = run("replay", "--plot", tmp_path / "none" / "a.svg", path)
    assert (status, "cannot be written" in errors) == (2, True)


def test_replay_names_what_it_cannot_read_and_does_the_rest(run, tmp_path: Path):
    good = write_sound(tmp_path / "a.wav", tones("_*ab."))
    status, lines, _ = run("replay", "--json", tmp_path / "no.wav", good)
    assert status == 1
    assert "error" in json.loads(lines[0])
    assert len(json.loads(lines[1])["detections"]) == 1
    assert run("replay", "--threshold", 0, good)[0] == 2


def test_meter_measures_a_file(run, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab.", silence=1e-3))
    status, lines, _ = run("meter", "--source", f"file:{path}", "--json")
    assert status == 0
    *readings, last = (json.loads(line) for line in lines)
    assert [r["time_s"] for r in readings] == [pytest.approx(0.2 * k) for k in range(1, 11)]
    assert sum(len(r["detections"]) for r in readings) == 1
    assert last["summary"]["detections"] == 1
    assert last["summary"]["advice"] == []
    status, lines, _ = run("meter", "--source", f"file:{path}", "--seconds", 0.4, "--json")
    assert len(lines) == 3


def test_meter_hears_standard_input(run, monkeypatch: pytest.MonkeyPatch):
    pcm = (tones("_*ab.", silence=1e-3) * 32768).astype("<i2").tobytes()
    reading, writing = os.pipe()
    saved = os.dup(0)
    try:
        os.dup2(reading, 0)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pcm[: 1 << 15])
        status, lines, _ = run("meter", "--source", "-")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reading)
    assert status == 0
    assert any("woke: beep" in line for line in lines)
    assert "1 detected" in lines[-1]


def test_meter_draws_one_line_on_a_terminal(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    path = write_sound(tmp_path / "a.wav", np.clip(tones("_aaaa.", amplitude=2.0), -1, 1))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    run("meter", "--source", f"file:{path}")
    drawn = terminal.getvalue()
    assert drawn.count("\r") >= 8
    assert "CLIPS" in drawn
    assert "lower the capture volume" in drawn
