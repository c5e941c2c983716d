"""How long and how fast a recogniser learns, and where a run stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    minutes: float = 60.0
    """Wall-clock budget of the whole run, over all restarts."""
    steps: int | None = None
    """Budget in steps instead: runs on a busy machine stay comparable."""
    peak_rate: float = 1.2e-3
    warm_steps: int = 300
    final_share: float = 0.02
    """Share of the peak rate that is left at the end."""
    constant_share: float = 0.25
    """Share of the budget before the rate starts to fall."""
    average: float = 0.999
    """Decay of the moving average of the weights."""
    clip: float = 5.0
    hear_share: float = 0.0
    """Share of the budget, at its beginning, in which the encoder learns phones alone."""
    phone_weight: float = 0.3
    """Weight of the phone loss beside the transducer's."""
    pruned_from: int = 400
    """Step of the transducer from which the pruned loss counts fully: before, its windows mean
    little."""
    simple_weight: float = 0.1
    """Weight of the simple loss after that. Its gradients are the largest and the roughest: with
    0.5 a model fits a small set several times more slowly."""

    def rate(self, step: int, progress: float) -> float:
        """Learning rate at a step and a share of the budget in [0, 1]."""
        warm = min(1.0, (step + 1) / self.warm_steps)
        left = min(1.0, (1.0 - progress) / (1.0 - self.constant_share))
        return self.peak_rate * warm * max(self.final_share, left)


@dataclass
class Progress:
    """Where a run stands; stored in the checkpoint."""

    step: int = 0
    seconds: float = 0.0
    """Spent in steps, over all restarts."""
    source_s: float = 0.0
    """Seconds of recordings seen."""
    transducer_steps: int = 0
    usual_norm: float = 0.0
    """Moving average of the gradient's norm."""
