"""Training steps: resuming changes nothing, two processes equal one, and it learns."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.asr.encoder import Shape
from converters.asr.rows import Material, RowBuilder, RowRecipe
from converters.asr.schedule import Schedule
from converters.asr.shards import Clip
from converters.asr.text import encode
from converters.asr.train import Trainer

SMALL = Shape(hidden=32, layers=2, joint=32, embedding=16, predictor=16)
SCHEDULE = Schedule(minutes=60.0, peak_rate=3e-3, warm_steps=20, pruned_from=10)


def toy_clips() -> list[Clip]:
    """Each letter is a band of its own for 80 ms: speech that anyone could learn."""
    rng = np.random.default_rng(0)
    clips = []
    for _ in range(40):
        # No letter twice in a row: the toy has no pause between letters.
        steps = rng.integers(1, 4, int(rng.integers(2, 5)))
        text = "".join("abcd"[place % 4] for place in np.cumsum(steps))
        hops = np.full((8 * len(text), 64), -12.0, np.float16)
        for place, label in enumerate(encode(text)):
            first = (label - 3) * 14
            hops[8 * place : 8 * place + 8, first : first + 10] = 0.0
        phones = np.repeat(np.array(encode(text), np.int8), 8)
        clips.append(Clip(hops, text, len(hops) / 100, phones=phones))
    return clips


def toy_rows(seed: int = 1, budget: int = 400) -> RowBuilder:
    material = Material(synthetic=toy_clips(), real=[], wake=[], noise=[])
    recipe = RowRecipe(
        frames=(40,), budget=budget, frequency_masks=0, time_masks=0, hiss_db=(40.0, 50.0),
        noise_share=0.0, tilt_nats=0.1, level_nats=(-1.0, 1.0), speech_context_share=0.0,
        stretch=0.0, other_voice=0.0,
    )  # fmt: skip
    return RowBuilder(material, recipe, seed)


def test_resuming_changes_nothing(tmp_path: Path) -> None:
    rows = toy_rows()
    straight = Trainer(tmp_path / "a", SMALL, SCHEDULE)
    for step in range(6):
        straight.step(rows.batch(step))
    first = Trainer(tmp_path / "b", SMALL, SCHEDULE)
    for step in range(3):
        first.step(rows.batch(step))
    first.save()
    second = Trainer(tmp_path / "b", SMALL, SCHEDULE, seed=99)
    assert second.resume()
    # The rate depends on the clock; give both the same share of the budget.
    second.progress.seconds = straight.progress.seconds = 0.0
    for step in range(3, 6):
        second.step(rows.batch(step))
    for mine, theirs in zip(
        second.model.parameters(), straight.model.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_loss_falls_on_a_toy_language(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    trainer = Trainer(tmp_path, SMALL, SCHEDULE, dropout=0.0)
    rows = toy_rows()
    batch = rows.batch(0)
    frames = torch.from_numpy(batch.frames).reshape(-1, 64)
    trainer.set_normalisation(frames.mean(0), frames.std(0))
    first = trainer.step(batch)["pruned"]
    for step in range(1, 200):
        last = trainer.step(rows.batch(step))["pruned"]
    assert last < 0.15 * first


def test_phones_are_learnt_first(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    hearing = dataclasses.replace(SCHEDULE, hear_share=0.5)
    trainer = Trainer(tmp_path, SMALL, hearing, dropout=0.0)
    rows = toy_rows()
    spelling = trainer.model.joiner.output.weight.clone()
    first = trainer.step(rows.batch(0))["phones"]
    for step in range(1, 80):
        last = trainer.step(rows.batch(step))["phones"]
    assert last < 0.3 * first
    assert trainer.progress.transducer_steps == 0
    torch.testing.assert_close(trainer.model.joiner.output.weight, spelling, atol=1e-2, rtol=0.0)
    trainer.progress.seconds = 0.6 * 60.0 * hearing.minutes
    assert trainer.step(rows.batch(80))["pruned"] > 0.0
    assert trainer.progress.transducer_steps == 1


RANK_SCRIPT = """
import json, sys, torch
from torch import distributed
from pathlib import Path
from converters.asr.train import Trainer
sys.path.insert(0, {tests!r})
from test_training import SCHEDULE, SMALL, toy_rows
torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank, world = distributed.get_rank(), distributed.get_world_size()
trainer = Trainer(Path({out!r}), SMALL, SCHEDULE, dropout=0.0)
rows = toy_rows()
losses = []
for step in range(3):
    batch = rows.batch(step, rank, world)
    mean = torch.stack([loss.mean() for loss in trainer.losses(batch).values()]).detach()
    distributed.all_reduce(mean)
    losses.append((mean / world).tolist())
    trainer.step(batch)
if rank == 0:
    Path({out!r}, f"losses-{{world}}.json").write_text(json.dumps(losses))
"""


def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK_SCRIPT.format(tests=str(Path(__file__).parent), out=str(tmp_path)))
    root = Path(__file__).parents[3]
    for world in (1, 2):
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc-per-node={world}", str(script)],
            check=True, timeout=240, cwd=root, capture_output=True,
            env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    one, two = (json.loads((tmp_path / f"losses-{n}.json").read_text()) for n in (1, 2))
    # The same rows, split: only the order of sums in bfloat16 layers differs.
    np.testing.assert_allclose(two, one, rtol=2e-3)


@pytest.mark.parametrize(
    ("step", "progress", "expected"),
    [(0, 0.0, 5e-6), (299, 0.0, 1.5e-3), (999, 0.4, 1.5e-3), (999, 0.7, 7.5e-4), (999, 1.0, 3e-5)],
    ids=["first step", "warm", "end of the plateau", "half way down", "end"],
)  # fmt: skip
def test_learning_rate(step: int, progress: float, expected: float) -> None:
    schedule = Schedule(peak_rate=1.5e-3, warm_steps=300, constant_share=0.4)
    assert schedule.rate(step, progress) == pytest.approx(expected)
