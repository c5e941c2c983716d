"""Trains the recogniser: resumable, on one CPU, several, or a GPU.

    state = a checkpoint in OUT/ (written atomically every few minutes)
    one step = rows -> features -> encoder (bf16) -> losses -> AdamW -> average

Progress is a share of the wall-clock budget, kept across restarts. At first the encoder learns
phones alone, from synthetic speech whose alignment is known; then the transducer joins in. The
learning rate rises over the first steps, stays, and falls linearly to the end. What is
evaluated and exported is the exponential moving average of the weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from converters.asr.batches import batches
from converters.asr.compression import Compression
from converters.asr.compressor import Compressor
from converters.asr.encoder import Shape
from converters.asr.methods import Methods
from converters.asr.model import Recogniser
from converters.asr.objective import Objective
from converters.asr.rows import Batch, RowBuilder
from converters.asr.schedule import Progress, Schedule

_OUTLIER = 4.0
"""Gradients longer than this many times the usual length are not applied."""


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def _world() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


class Trainer:
    """Owns the model, its average, the optimiser and the checkpoint.

    Args:
        out: folder of the checkpoint.
        shape: sizes of the model.
        schedule: how long and how fast to learn.
        device: "cpu" or "cuda".
        seed: of the first weights and of dropout.
        dropout: share of each row's channels that is dropped while training.
        weights: a full state to start from instead of random weights.
        methods: optional ones to learn by.
        compression: grid and zeros that the weights shall get used to.
    """

    def __init__(
        self,
        out: Path,
        shape: Shape,
        schedule: Schedule,
        *,
        device: str = "cpu",
        seed: int = 1,
        dropout: float = 0.1,
        weights: dict[str, Tensor] | None = None,
        methods: Methods | None = None,
        compression: Compression | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.out = out
        self.schedule = schedule
        self.progress = Progress()
        self._device = torch.device(device)
        self._model = Recogniser(shape, dropout).to(self._device)
        if weights is not None:
            self._model.load_state_dict(weights)
        self._average = Recogniser(shape).to(self._device).eval()
        self._average.load_state_dict(self._model.state_dict())
        self._compressor = Compressor(self._model, compression or Compression())
        self._optimiser = torch.optim.AdamW(
            self._model.parameters(), lr=schedule.peak_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self._methods = methods or Methods()
        if self._methods.teacher:
            self._methods.teacher.move(self._device)
        objective = Objective(self._model, self._methods)
        self._objective: nn.Module = objective
        if distributed.is_initialized():
            # While phones are learnt alone, half of the model has no gradient.
            self._objective = DistributedDataParallel(objective, find_unused_parameters=True)
        # From here on ranks draw different dropout; their first weights were the same.
        torch.manual_seed(seed + 1 + _rank())

    # -- one step --------------------------------------------------------------------------

    def step(self, batch: Batch) -> dict[str, float]:
        """Learns from one batch; returns its losses.

        Those of the transducer in nats per label, the phones' in nats per frame in which they are
        known, those of methods per row.
        """
        began = time.monotonic()
        fraction = self.fraction
        for group in self._optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.progress.step, fraction)
        transduce = fraction >= self.schedule.hear_share
        if transduce and self.progress.transducer_steps == 0:
            self.progress.usual_norm = 0.0
        early = self.progress.transducer_steps < self.schedule.pruned_from
        weights = {
            "simple": 1.0 if early else self.schedule.simple_weight,
            "pruned": 0.1 if early else 1.0,
            "phones": self.schedule.phone_weight if transduce else 1.0,
            **self._methods.weights(),
        }
        self._optimiser.zero_grad(set_to_none=True)
        with self._compressor.applied(self.progress.step, fraction):
            losses = self.losses(batch, transduce=transduce)
            parts = [weights[name] * each.mean() for name, each in losses.items()]
            torch.stack(parts).sum().backward()
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self.schedule.clip)
        if self._usual(float(norm)):
            self._optimiser.step()
            self._follow()
            self._compressor.settle(self._average)
        self.progress.step += 1
        self.progress.transducer_steps += transduce
        self.spend(time.monotonic() - began)
        # The others hear as much.
        self.progress.source_s += batch.source_s * _world()
        labels = float(batch.labels.sum()) + len(batch.labels)
        heard = max(1.0, float((batch.phones >= 0).sum()) / 4)
        per = {"simple": labels, "pruned": labels, "phones": heard}
        return {
            name: float(each.detach().sum()) / per.get(name, len(each))
            for name, each in losses.items()
        }

    def losses(self, batch: Batch, *, transduce: bool = True) -> dict[str, Tensor]:
        """Losses of each row by name, float32 [B] each; see `Objective`."""
        tensors = [torch.from_numpy(a).to(self._device, non_blocking=True) for a in (
            batch.frames, batch.masks, batch.context, batch.targets, batch.labels, batch.phones,
        )]  # fmt: skip
        with torch.autocast(self._device.type, torch.bfloat16):
            found: dict[str, Tensor] = self._objective(*tensors, transduce)
        return found

    def _usual(self, norm: float) -> bool:
        """Whether a gradient is no outlier; one exploded step undoes minutes of learning."""
        if not math.isfinite(norm):
            return False
        usual = self.progress.usual_norm or norm
        # Capped, so that an outlier cannot make itself usual, and a new scale still can.
        self.progress.usual_norm = 0.98 * usual + 0.02 * min(norm, 4.0 * usual)
        return norm <= _OUTLIER * usual

    @torch.no_grad()
    def _follow(self) -> None:
        # A young average must forget its random start faster.
        decay = min(self.schedule.average, (1 + self.progress.step) / (10 + self.progress.step))
        mine: list[Tensor] = list(self._average.parameters())
        theirs: list[Tensor] = list(self._model.parameters())
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)

    def spend(self, seconds: float) -> None:
        """Counts wall time; the first process's clock holds for all, so that all stop together."""
        spent = torch.tensor([self.progress.seconds + seconds], dtype=torch.float64)
        if distributed.is_initialized():
            spent = spent.to(self._device)
            distributed.broadcast(spent, 0)
        self.progress.seconds = float(spent)

    # -- state -----------------------------------------------------------------------------

    @property
    def model(self) -> Recogniser:
        """The averaged model, in evaluation mode: what is evaluated and exported.

        If the training sees weights of few bits, so does the evaluation.
        """
        return self._compressor.as_exported(self._average)

    def set_normalisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Fixes the input normalisation, float32 [64] each; done once, before the first step."""
        for model in (self._model, self._average):
            model.encoder.mean.copy_(mean)
            model.encoder.deviation.copy_(deviation)

    def save(self) -> None:
        """Writes the checkpoint atomically; only the first process does."""
        if _rank() != 0:
            return
        state: dict[str, Any] = {
            "shape": self._model.shape.as_dict(),
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "progress": vars(self.progress),
            "random": torch.get_rng_state(),
            "compression": self._compressor.state(),
        }
        self.out.mkdir(parents=True, exist_ok=True)
        partial = self.out / "checkpoint.part"
        torch.save(state, partial)
        partial.replace(self.out / "checkpoint.pt")

    def resume(self) -> bool:
        """Continues from OUT/checkpoint.pt if it exists."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self._device, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])
        self._compressor.resume(state.get("compression", {}))
        if "random" in state:
            torch.set_rng_state(state["random"].cpu())
        return True

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent, in [0, 1]."""
        if self.schedule.steps is not None:
            return min(1.0, self.progress.step / self.schedule.steps)
        return min(1.0, self.progress.seconds / (60.0 * self.schedule.minutes))

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        return self.fraction >= 1.0


def train(
    trainer: Trainer,
    rows: RowBuilder,
    *,
    on_step: Callable[[dict[str, float], float], None],
    every_minutes: float,
    on_checkpoint: Callable[[], RowBuilder],
    builders: int = 0,
) -> None:
    """Steps until the budget is spent.

    Args:
        trainer: what learns.
        rows: where batches come from.
        on_step: told the losses and the seconds of wall time the step took, batch included.
        every_minutes: between checkpoints.
        on_checkpoint: evaluates, looks for new material, returns the builder to go on with.
        builders: processes that make batches ahead, see `batches.batches`.
    """
    def supply(rows: RowBuilder) -> Iterator[Batch]:
        first = trainer.progress.step
        return batches(rows, first, rank=_rank(), world=_world(), builders=builders)

    source = supply(rows)
    due = trainer.progress.seconds + 60.0 * every_minutes
    while not trainer.finished:
        began = time.monotonic()
        batch = next(source)
        trainer.spend(time.monotonic() - began)
        losses = trainer.step(batch)
        on_step(losses, time.monotonic() - began)
        if trainer.progress.seconds >= due:
            trainer.save()
            source = supply(on_checkpoint())
            due = trainer.progress.seconds + 60.0 * every_minutes
    trainer.save()
