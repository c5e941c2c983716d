"""Fine-tunes the integers of a bundle on one person's clips, held by everybody's importance."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from converters.adaptation.grid import Place
from converters.adaptation.importance import exact_loss
from converters.asr.model import Recogniser
from converters.asr.rows import Batch, RowBuilder

_WARM_STEPS = 5
_CLIP = 5.0


@dataclass(frozen=True)
class Plan:
    """How fast to learn, and how firmly to hold."""

    rate: float = 1e-3
    """Peak of Adam's learning rate; reached after a few steps and kept."""
    strength: float = 6e4
    """Of the penalty, see `importance.py`; 0: nothing is held."""
    steps: int = 40
    """Most steps; which of them to stop at is chosen on recordings that were held out."""
    every: int = 10
    """Steps between two looks at those."""
    share: float = 0.5
    """How much of the way the result goes from the weights before to those learnt (Wortsman et al.
    2022, arXiv:2109.01903): half of it keeps most of the gain and little of the harm."""
    snap: bool = True
    """Learn at weights that the board can hold; without it only the result is rounded."""


class Tuner:
    """One adaptation of a copy of a model.

    Args:
        base: the model before; left as it is.
        places: the parameters that may change.
        held: importance by parameter, float32 like it.
        plan: how fast and how firmly.
    """

    def __init__(
        self,
        base: Recogniser,
        places: Mapping[str, Place],
        held: Mapping[str, Tensor],
        plan: Plan,
    ) -> None:
        self.model = copy.deepcopy(base)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self._places = places
        self._held = held
        self._plan = plan
        self._before = {name: base.get_parameter(name).detach().clone() for name in places}
        self._latent = {name: nn.Parameter(w.clone()) for name, w in self._before.items()}
        for name in places:
            self.model.get_parameter(name).requires_grad_(True)
        self._optimiser = torch.optim.Adam(self._latent.values(), lr=plan.rate, betas=(0.9, 0.98))
        self._step = 0

    def run(self, rows: RowBuilder, first: int = 0) -> Iterator[tuple[int, Recogniser]]:
        """Learns; after every `Plan.every` steps gives their number and the model as it runs.

        Args:
            rows: where batches come from.
            first: number of the first batch.
        """
        for step in range(1, self._plan.steps + 1):
            self.step(rows.batch(first + step - 1))
            if step % self._plan.every == 0 or step == self._plan.steps:
                yield step, self.rounded()

    def step(self, batch: Batch) -> float:
        """Learns from one batch; returns its loss in nats per label, without the penalty."""
        self.model.train()
        frames, masks, context, targets, labels = (
            torch.from_numpy(a)
            for a in (batch.frames, batch.masks, batch.context, batch.targets, batch.labels)
        )
        losses = exact_loss(self.model, frames, masks, context, targets, labels)
        # Rows without an utterance teach silence, and no label.
        loss = losses.sum() / float((labels + 1).sum())
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        for group in self._optimiser.param_groups:
            group["lr"] = self._plan.rate * min(1.0, (self._step + 1) / _WARM_STEPS)
        self._pull()
        self._optimiser.step()
        self._settle()
        self._step += 1
        return float(loss.detach())

    def rounded(self) -> Recogniser:
        """The result: `Plan.share` of the way, weights that the board can hold, evaluation mode."""
        found = copy.deepcopy(self.model).eval()
        with torch.no_grad():
            for name, latent in self._latent.items():
                weight = torch.lerp(self._before[name], latent, self._plan.share)
                found.get_parameter(name).copy_(self._places[name].snap(weight))
        return found

    def _pull(self) -> None:
        """Hands the gradients to the latent weights, together with the penalty's."""
        nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        with torch.no_grad():
            for name, latent in self._latent.items():
                gradient = self.model.get_parameter(name).grad
                assert gradient is not None  # Every chosen parameter takes part in the loss.
                drift = latent - self._before[name]
                latent.grad = gradient + self._plan.strength * self._held[name] * drift

    @torch.no_grad()
    def _settle(self) -> None:
        """Puts the latent weights into the model that learns."""
        for name, latent in self._latent.items():
            weight = self._places[name].snap(latent) if self._plan.snap else latent
            self.model.get_parameter(name).copy_(weight)
