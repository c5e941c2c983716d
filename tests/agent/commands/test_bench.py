"""`bench` on the bundle of tones: everything is measured and printed, whatever the figures are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import cli
from agent.bench.measures import cpu_costs, stage_times
from agent.bench.workload import PAUSE_S, Workload, commands, room
from agent.bundle.manifest import Bundle, load_bundle
from tests.agent.toy_bundle import write_toy_bundle, write_toy_manifest


def test_the_room_is_faint_noise_and_always_the_same():
    blocks = room(2.0)
    assert blocks.shape == (50, 640)
    assert (blocks == room(2.0)).all()
    assert (blocks != room(2.0, seed=1)).any()
    assert 0 < abs(blocks).max() < 100


def test_commands_are_played_over_and_over_with_a_pause_behind_each(toy: Bundle):
    spoken = commands(toy, 60.0)
    assert spoken is not None
    # Three clips of 2.12 to 2.28 s and a pause of 4 s each: 60 s end within one clip and pause.
    seconds = len(spoken) * 0.04
    assert 60.0 <= seconds < 60.0 + PAUSE_S + 2.5


def test_a_bundle_without_recordings_has_no_commands(tmp_path: Path):
    directory = write_toy_bundle(tmp_path / "toy")
    write_toy_manifest(directory)
    assert commands(load_bundle(directory), 60.0) is None


def test_what_was_heard_is_counted(toy: Bundle):
    spoken = commands(toy, 20.0)
    assert spoken is not None
    told: list[None] = []
    workloads = [Workload("pipeline", spoken), Workload("idle", room(4.0))]
    costs = cpu_costs(toy, workloads, 3, lambda: told.append(None))
    assert len(told) == 6
    # Each clip and pause lasts 6.12 to 6.28 s, so 20 s hold four.
    assert (costs["pipeline"].wakes, costs["pipeline"].results) == (4, 4)
    assert 0.1 < costs["pipeline"].command_share < 0.9
    assert (costs["idle"].wakes, costs["idle"].command_share) == (0, 0.0)
    assert len(costs["idle"].runs) == 3
    assert sorted(costs["idle"].runs)[1] == costs["idle"].median > 0


def test_every_stage_has_its_time(toy: Bundle):
    times = stage_times(toy, Workload("idle", room(4.0)), 1)
    assert list(times) == ["levels", "features", "wake word (beep)", "encoder", "transducer"]
    assert all(value > 0 for value in times.values())


@pytest.fixture(scope="module")
def report(toy_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `bench --quick --json` prints."""
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert cli.main(["bench", "--quick", "--json", "--bundle", str(toy_directory)]) == 0
    answer: dict[str, Any] = json.loads(text.getvalue())
    return answer


def test_the_whole_report(report: dict[str, Any], toy: Bundle):
    assert list(report) == [
        *("machine", "quick", "cpu_s_per_audio_s", "stage_us_per_frame", "listen", "bundle"),
    ]
    assert report["quick"] is True
    assert report["cpu_s_per_audio_s"]["idle"]["audio_s"] == 60.0
    assert report["cpu_s_per_audio_s"]["pipeline"]["results"] > 5
    listen = report["listen"]
    assert 10e6 < listen["rss_bytes"] < 120e6
    assert 0 < listen["start_up_s"] < 60
    assert 0 < listen["idle_cpu_s_per_s"] < 1
    sizes = [entry.bytes for entry in toy.manifest.files]
    assert report["bundle"]["total_bytes"] == sum(sizes)
    assert 0 < report["bundle"]["model_bytes"] < report["bundle"]["total_bytes"]


def test_the_table(report: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    from agent.commands.bench import _show

    _show(report)
    text = capsys.readouterr().out
    for row in ("whole pipeline", "waiting for the", "encoder", "resident", "Start-up", "quick"):
        assert row in text
    del report["cpu_s_per_audio_s"]["pipeline"]
    _show(report)
    assert "no recordings" in capsys.readouterr().out
