"""The encoder of the recogniser: what is heard in each frame, knowing only it and the past."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.asr.text import VOCABULARY

LAYER_NORM_EPSILON = 1e-5
QUIETEST_LEVEL = -8.0
"""Mean log band power below which a frame no longer counts as the level of a voice, in nats."""
LEVEL_DECAY = 0.02
"""By how much the remembered level falls per frame, in nats: 2.2 dB a second."""
PRIOR_FRAMES = 25.0
"""How many frames the training set's mean spectrum weighs against the frames heard: 1 s."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a recogniser; stored with every checkpoint."""

    hidden: int = 256
    """Width of the encoder."""
    layers: int = 4
    joint: int = 256
    """Width of the space where encoder and predictor meet."""
    embedding: int = 128
    """Width of one label's embedding."""
    predictor: int = 128
    """Width of the predictor's hidden layer."""
    long_memory: bool = False
    """Whether the predictor is an LSTM over all labels instead of seeing the last two."""
    labels: int = VOCABULARY
    """How many labels there are, with the blank; see `units.py`."""
    window: int = 5
    """Label positions that the joiner sees per frame in the pruned loss."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)


def level(frames: Tensor) -> Tensor:
    """The loudest recent frame, by which the encoder measures all others.

    A voice may come from across the room: subtracting a slowly falling maximum makes the
    features independent of gain without looking ahead, and without the drift of a running mean
    in long pauses.

    Args:
        frames: float32 [B, T, 256], natural logarithm of band powers.

    Returns:
        float32 [B, T, 1]: level_t = max(level_{t-1} - `LEVEL_DECAY`, mean of frame t,
        `QUIETEST_LEVEL`).
    """
    ramp = LEVEL_DECAY * torch.arange(frames.shape[1], device=frames.device)
    highest = (frames.mean(2) + ramp).cummax(1).values - ramp
    return highest.clamp_min(QUIETEST_LEVEL)[..., None]


def running_mean(hops: Tensor, prior: Tensor) -> Tensor:
    """The mean spectrum of what was heard so far, with the training set's as a prior.

    Subtracting it takes away what a voice, a microphone and a room do to every frame alike
    (cepstral mean normalisation), without looking ahead.

    Args:
        hops: float32 [B, T, 4, 64], relative to their level.
        prior: float32 [64], the training set's mean.

    Returns:
        float32 [B, T, 1, 64]: (`PRIOR_FRAMES` prior + sum of frames 1..t) / (`PRIOR_FRAMES` + t).
    """
    heard = torch.arange(1, hops.shape[1] + 1, device=hops.device)[:, None]
    total = hops.mean(2).cumsum(1)
    return ((PRIOR_FRAMES * prior + total) / (PRIOR_FRAMES + heard))[:, :, None]


class LockedDropout(nn.Module):
    """Dropout with one mask per row for all frames (Gal and Ghahramani 2016).

    Besides regularising recurrent layers better, it needs T times fewer random numbers, which
    took a tenth of a training step on a CPU.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N]."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.rate
        return x * (keep / (1.0 - self.rate)).to(x.dtype)


class Encoder(nn.Module):
    """Frames [B, T, 256] to encodings [B, T, joint]; each sees only itself and the past."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(MELS))
        self.register_buffer("deviation", torch.ones(MELS))
        self.input = nn.Linear(FRAME_DIM, shape.hidden)
        self.norms = nn.ModuleList(
            nn.LayerNorm(shape.hidden, LAYER_NORM_EPSILON) for _ in range(shape.layers)
        )
        self.cells = nn.ModuleList(
            nn.LSTM(shape.hidden, shape.hidden, batch_first=True) for _ in range(shape.layers)
        )
        self.final_norm = nn.LayerNorm(shape.hidden, LAYER_NORM_EPSILON)
        self.output = nn.Linear(shape.hidden, shape.joint)
        self.dropout = LockedDropout(dropout)
        for name, values in self.cells.named_parameters():
            if name.endswith("bias_ih_l0"):
                # The forget gate starts open (Jozefowicz et al. 2015).
                nn.init.ones_(values.data[shape.hidden : 2 * shape.hidden])

    def forward(self, frames: Tensor, masks: Tensor | None = None) -> Tensor:
        """Args: frames float32 [B, T, 256]; masks of SpecAugment, bool like the frames."""
        return self.finish(self.begin(frames, masks))

    def begin(self, frames: Tensor, masks: Tensor | None = None) -> Tensor:
        """All layers but the last: frames [B, T, 256] to [B, T, hidden], where phones are read."""
        hops = (frames - level(frames)).unflatten(2, (HOPS_PER_FRAME, MELS))
        x = ((hops - running_mean(hops, self.mean)) / self.deviation).flatten(2)
        if masks is not None:
            x = x.masked_fill(masks, 0.0)
        x = self.input(x)
        for layer in range(len(self.cells) - 1):
            x = self._layer(layer, x)
        return x

    def finish(self, x: Tensor) -> Tensor:
        """The last layer: [B, T, hidden] to encodings [B, T, joint]."""
        x = self._layer(len(self.cells) - 1, x)
        return self.output(self.dropout(self.final_norm(x)))

    def _layer(self, number: int, x: Tensor) -> Tensor:
        normed = self.norms[number](x)
        if x.is_cuda:
            # Autocast would turn it into float16 there, whose range is too small for gradients.
            with torch.autocast("cuda", enabled=False):
                heard: Tensor = self.cells[number](normed.float())[0]
        else:
            heard = self.cells[number](normed)[0]
        return x + self.dropout(heard)
