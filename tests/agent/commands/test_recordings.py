"""`transcribe` and `wake`: exactly the JSON that scripts rely on, and errors file by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import cli
from tests.agent.toy_bundle import tones, write_sound


@pytest.fixture
def run(toy_directory: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command on the bundle of tones; gives status, standard output and error."""

    def run(command: str, *arguments: object) -> tuple[int, list[str], str]:
        status = cli.main([command, "--bundle", str(toy_directory), *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return run


def _transcribe(run: Any, *arguments: object) -> dict[str, Any]:
    status, (line,), _ = run("transcribe", "--json", *arguments)
    assert status == 0
    answer: dict[str, Any] = json.loads(line)
    return answer


def test_the_whole_object(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("._*ab c."))
    answer = _transcribe(run, path)
    assert list(answer) == [
        *("path", "text", "confidence", "wake", "utterances", "nbest", "lattice"),
        *("endpoint", "routing", "timing"),
    ]
    assert (answer["path"], answer["text"], answer["lattice"]) == (str(path), "ab c", None)
    assert 0 < answer["confidence"] <= 1
    # 1.2 s of silence, then the tone; the toy hears it 0.2 s to 0.32 s into it.
    assert answer["wake"]["time_s"] == pytest.approx(1.4, abs=0.1)
    assert 0.5 <= answer["wake"]["score"] <= 1
    (stretch,) = answer["utterances"]
    assert stretch["text"] == "ab c"
    # The letters begin after the tone, at 1.8 s, and take 0.64 s.
    assert 1.8 <= stretch["start_s"] < stretch["end_s"] <= 2.6
    (entry,) = answer["nbest"]
    assert list(entry) == ["text", "log_prob", "posterior", "words"]
    assert (entry["text"], entry["posterior"]) == ("ab c", None)
    assert entry["log_prob"] < 0
    assert [word["word"] for word in entry["words"]] == ["ab", "c"]
    assert list(entry["words"][0]) == ["word", "start_s", "end_s", "posterior", "contact"]
    assert entry["words"][0]["contact"] is None
    assert answer["endpoint"]["rule"] == "trailing_silence"
    assert answer["endpoint"]["reset"] is False
    assert answer["endpoint"]["speculative_s"] < answer["endpoint"]["final_s"] <= 3.44
    assert list(answer["routing"]) == ["slow_frames", "fast_frames", "macs_per_frame"]
    assert answer["routing"]["slow_frames"] > 20
    assert answer["routing"]["fast_frames"] is None
    assert answer["timing"]["audio_s"] == pytest.approx(3.44)
    assert 0 < answer["timing"]["compute_s"] < 5


def test_two_commands_in_one_file(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab...*c d."))
    answer = _transcribe(run, path)
    assert answer["text"] == "ab c d"
    assert [part["text"] for part in answer["utterances"]] == ["ab", "c d"]
    assert [word["word"] for word in answer["nbest"][0]["words"]] == ["ab", "c", "d"]


def test_without_a_wake_word_nothing_is_recognised(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_ab."))
    answer = _transcribe(run, path)
    assert (answer["text"], answer["wake"], answer["confidence"]) == ("", None, None)
    assert (answer["utterances"], answer["nbest"]) == ([], [])
    assert set(answer["endpoint"].values()) == {None}
    assert answer["routing"]["slow_frames"] == 0


def test_no_wake_decodes_everything(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_ab..c."))
    answer = _transcribe(run, "--no-wake", path)
    assert (answer["text"], answer["wake"]) == ("abc", None)
    # "ab" ends after 0.52 s, and 0.8 s later the command would have ended.
    assert answer["endpoint"]["rule"] == "trailing_silence"
    assert answer["endpoint"]["final_s"] == pytest.approx(1.4, abs=0.1)


def test_each_file_is_heard_as_if_it_were_the_only_one(run: Any, tmp_path: Path):
    first = write_sound(tmp_path / "a.wav", tones("_*ab"))
    second = write_sound(tmp_path / "b.wav", tones("_*cd."))
    _, lines, _ = run("transcribe", "--json", first, second, first)
    answers = [json.loads(line) for line in lines]
    assert [answer["text"] for answer in answers] == ["ab", "cd", "ab"]
    for answer in answers:
        del answer["timing"]
    assert answers[0] == answers[2]


def test_broken_files_are_named_and_the_others_still_done(run: Any, tmp_path: Path):
    good = write_sound(tmp_path / "good.wav", tones("_*ab."))
    empty = tmp_path / "empty.wav"
    empty.touch()
    for command in ("transcribe", "wake"):
        status, lines, _ = run(command, "--json", tmp_path / "missing.wav", good, empty)
        assert status == 1
        missing, heard, broken = (json.loads(line) for line in lines)
        assert "does not exist" in missing["error"]
        assert list(missing) == ["path", "error"]
        assert "error" not in heard
        assert "not audio" in broken["error"]


def test_lines_for_people(run: Any, tmp_path: Path):
    good = write_sound(tmp_path / "good.wav", tones("_*ab."))
    none = write_sound(tmp_path / "none.wav", tones("_ab."))
    status, lines, errors = run("transcribe", good, none, tmp_path / "missing.wav")
    assert status == 1
    assert lines[0].startswith(f"{good}: ab  (wake at 0.")
    assert lines[1] == f"{none}: -  (no wake word)"
    assert errors.startswith("error: ")
    status, lines, _ = run("wake", good, none)
    assert status == 0
    assert "peak" in lines[0]
    assert lines[1].endswith("not detected")


def test_contacts_are_accepted_and_said_to_be_unused(run: Any, tmp_path: Path):
    good = write_sound(tmp_path / "good.wav", tones("_*ab."))
    status, _, errors = run("transcribe", "--contacts", tmp_path / "names.txt", good)
    assert status == 0
    assert "contacts are not used yet" in errors


def test_wake_scores(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab...*"))
    status, (line,), _ = run("wake", "--json", path)
    answer = json.loads(line)
    assert status == 0
    assert list(answer) == ["path", "peak_score", "detections"]
    assert 0.9 < answer["peak_score"] <= 1
    first, second = answer["detections"]
    assert list(first) == ["time_s", "score"]
    assert 0.2 <= first["time_s"] <= 0.8
    # The second tone begins at 4.12 s and lasts until the recording ends, at 4.72 s.
    assert 4.12 <= second["time_s"] <= 4.72


def test_both_commands_hear_the_same_word(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", tones("_*ab."))
    _, (line,), _ = run("wake", "--json", path)
    assert json.loads(line)["detections"] == [_transcribe(run, path)["wake"]]


def test_an_own_word_needs_no_bundle(
    toy_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = write_sound(tmp_path / "a.wav", tones("_*ab."))
    word = toy_directory / "wake" / "beep.tflite"
    assert cli.main(["wake", "--word", str(word), "--json", str(path)]) == 0
    assert len(json.loads(capsys.readouterr().out)["detections"]) == 1


def test_silence_scores_next_to_nothing(run: Any, tmp_path: Path):
    path = write_sound(tmp_path / "a.wav", np.zeros(16000, np.float32))
    _, (line,), _ = run("wake", "--json", path)
    assert json.loads(line)["peak_score"] < 0.01
