"""The training loop of the wake-word model.

Every step draws its own batch from (seed, step), so a run that is interrupted and resumed goes
through the same batches and ends with the same weights as one that is not. The number of steps
is fixed before the first one; the caller turns minutes into steps by timing a few.

Where it is known what is sounded, the network also learns to tell phones apart: that is what keeps
a small one from learning voices instead of sounds.

What ships is a moving average of the weights, taken at the evaluation where the dev set liked it
best. From a third of the run on, the places in the bank that the average still gets wrong are
found again and again and shown more often.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from agent.hearing.features import MELS
from converters.wake.detection import Rule
from converters.wake.feature_bank import Entry
from converters.wake.mining import mine
from converters.wake.model import WakeConfig, WakeModel
from converters.wake.streams import Mined, Mixture, StreamMaker
from converters.wake.tuning_set import Standing, TuningSet
from converters.wake.warm_start import load_file


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int
    streams: int = 48
    """Streams in a batch."""
    peak_rate: float = 3e-3
    warm_up: int = 200
    decay: float = 0.03
    """AdamW's weight decay."""
    average: float = 0.999
    """Decay of the moving average; 1000 steps of memory."""
    negative_weight: float = 3.0
    """Weight of a "no" frame at the end of the run; 1 at its start, linear between."""
    phone_weight: float = 0.2
    """Weight of the phones beside the word."""
    evaluations: int = 16
    """Evaluations on the tuning set in the whole run; mining happens at some of them."""
    mine_from: float = 0.3
    """Share of the run after which the model's mistakes are mined."""
    mine_every: int = 2
    """Evaluations between minings: hearing the whole bank takes longer than an evaluation."""


@dataclass
class Progress:
    """Where a run stands; also what the caller shows."""

    step: int
    steps: int
    loss: float
    rate: float
    standing: Standing | None
    best: float
    mined: int
    seconds_per_step: float


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < schedule.warm_up:
        return schedule.peak_rate * (step + 1) / schedule.warm_up
    span = max(schedule.steps - schedule.warm_up, 1)
    share = min((step - schedule.warm_up) / span, 1.0)
    return schedule.peak_rate * (0.01 + 0.99 * 0.5 * (1.0 + float(np.cos(np.pi * share))))


def frame_loss(logits: Tensor, target: Tensor, weight: Tensor, negative_weight: float) -> Tensor:
    """Weighted cross entropy per counted frame.

    Args:
        logits: [streams, frames].
        target: 1 for yes, 0 for no.
        weight: 0 where either answer is right.
        negative_weight: factor on the frames to answer with no.
    """
    weight = weight * torch.where(target > 0.5, 1.0, negative_weight)
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * weight).sum() / weight.sum()


def phone_loss(logits: Tensor, phones: Tensor) -> Tensor:
    """Cross entropy per frame whose phones are known.

    Args:
        logits: [streams, frames, 40].
        phones: int64 [streams, frames, 4], what is sounded at each hop of a frame; -1: unknown.
    """
    chances = logits.log_softmax(-1).gather(2, phones.clamp_min(0))
    known = phones >= 0
    return -(chances * known).sum() / known.sum().clamp_min(1)


class Trainer:
    """One run, resumable at any evaluation.

    Args:
        entries: the training bank.
        tuning: what the weights are chosen by.
        config: shape of the network.
        schedule: length and rates.
        mixture: how streams are made.
        seed: of the weights and of every batch.
        checkpoint: file that the state is kept in; picked up if it is there.
        start: a .tflite file of the same shape to begin with.
        same_word: it was made for the same word, so that its last layer is good, too.
    """

    def __init__(
        self,
        *,
        entries: list[Entry],
        tuning: TuningSet,
        config: WakeConfig,
        schedule: Schedule,
        mixture: Mixture,
        seed: int,
        checkpoint: Path | None = None,
        rule: Rule | None = None,
        start: Path | None = None,
        same_word: bool = True,
    ) -> None:
        self._entries, self._tuning = entries, tuning
        self._schedule, self._seed, self._checkpoint = schedule, seed, checkpoint
        self._rule = rule or Rule(0.5)
        self._maker = StreamMaker(entries, mixture)
        torch.manual_seed(seed)
        self.model = WakeModel(config)
        typical = self._typical()
        hops = typical.reshape(-1, MELS)
        self.model.set_feature_statistics(hops.mean(0), hops.std(0) + 1e-3)
        if start is not None:
            load_file(self.model, start, typical, head=same_word)
        self.average = copy.deepcopy(self.model)
        self.best = copy.deepcopy(self.model)
        self.best_merit = -1.0
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self._optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=0.0, weight_decay=schedule.decay
        )
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)

    def _typical(self) -> Tensor:
        """Frames of a batch of streams, what the statistics of the features are taken from."""
        batch = self._maker.batch(32, np.random.default_rng([self._seed, 1 << 40]))
        return torch.from_numpy(batch.frames)

    # -- checkpoints -----------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        return {
            "schedule": asdict(self._schedule),
            "seed": self._seed,
            "entries": len(self._entries),
        }

    def save(self, path: Path) -> None:
        """Writes the whole state, all or nothing."""
        state = {
            "settings": self._settings(),
            "config": self.model.config.to_dict(),
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best.state_dict(),
            "best_merit": self.best_merit,
            "optimiser": self._optimiser.state_dict(),
            "mined": [(place.entry, place.hop) for place in self._maker.mined],
            "history": self.history,
        }
        part = path.with_suffix(path.suffix + ".part")
        torch.save(state, part)
        part.replace(path)

    def _resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        if state["settings"] != self._settings():
            raise ValueError(
                f"{path} belongs to a run with other settings or data; "
                "remove it, or give another --out"
            )
        self.step, self.best_merit = state["step"], state["best_merit"]
        self.history = state["history"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.best.load_state_dict(state["best"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._maker.mined = [Mined(*place) for place in state["mined"]]

    # -- steps -----------------------------------------------------------------------------

    def _negative_weight(self) -> float:
        share = self.step / max(self._schedule.steps, 1)
        return 1.0 + (self._schedule.negative_weight - 1.0) * share

    def _one_step(self) -> float:
        rng = np.random.default_rng([self._seed, self.step])
        torch.manual_seed((self._seed << 32) + self.step)  # what dropout hides, too
        batch = self._maker.batch(self._schedule.streams, rng)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self._schedule, self.step)
        self.model.train()
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            heard = self.model.trunk(torch.from_numpy(batch.frames))
            logits, phones = self.model.head(heard).squeeze(2), self.model.phones(heard)
        loss = frame_loss(
            logits.float(),
            torch.from_numpy(batch.target),
            torch.from_numpy(batch.weight),
            self._negative_weight(),
        )
        known = phone_loss(phones.float(), torch.from_numpy(batch.phones))
        (loss + self._schedule.phone_weight * known).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self._optimiser.step()
        self._follow()
        self.step += 1
        return float(loss.detach())

    def _follow(self) -> None:
        """Moves the average towards the weights; faster at the start, when they are far off."""
        decay = min(self._schedule.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averaged = self.average.state_dict()
            for name, value in self.model.state_dict().items():
                if value.dtype.is_floating_point:
                    averaged[name].lerp_(value, 1.0 - decay)
                else:
                    averaged[name].copy_(value)

    def _evaluate(self, loss: float) -> Standing:
        standing = self._tuning.standing(self.average, self._rule)
        # The first third of a run is too far from its end to be chosen, whatever luck it has.
        settled = self.step >= self._schedule.steps * 0.3
        if settled and standing.merit >= self.best_merit:
            self.best_merit = standing.merit
            self.best.load_state_dict(self.average.state_dict())
        late = self.step >= self._schedule.steps * self._schedule.mine_from
        if late and len(self.history) % self._schedule.mine_every == 0:
            self._maker.mined = mine(self.average, self._entries)
        self.history.append({"step": self.step, "loss": loss, **asdict(standing)})
        if self._checkpoint is not None:
            self.save(self._checkpoint)
        return standing

    def run(
        self,
        show: Callable[[Progress], None] = lambda _progress: None,
        until: int | None = None,
    ) -> None:
        """Trains to the end of the schedule.

        Args:
            show: called after every step.
            until: stop before this step; the state is saved, so that a run can go on later.
        """
        last = min(self._schedule.steps, until if until is not None else self._schedule.steps)
        every = max(1, self._schedule.steps // self._schedule.evaluations)
        standing: Standing | None = None
        losses, began, first = 0.0, time.monotonic(), self.step
        while self.step < last:
            loss = self._one_step()
            losses = loss if losses == 0.0 else 0.98 * losses + 0.02 * loss
            if self.step % every == 0 or self.step == self._schedule.steps:
                standing = self._evaluate(losses)
            show(
                Progress(
                    step=self.step,
                    steps=self._schedule.steps,
                    loss=losses,
                    rate=learning_rate(self._schedule, self.step),
                    standing=standing,
                    best=self.best_merit,
                    mined=len(self._maker.mined),
                    seconds_per_step=(time.monotonic() - began) / (self.step - first),
                )
            )
        if self._checkpoint is not None and self.step < self._schedule.steps:
            self.save(self._checkpoint)
