"""The wake-word network: a causal temporal convolution over 40 ms frames.

    frame [256] -> linear -> relu -> 6 blocks -> linear -> sigmoid -> score

A block looks at three frames ``dilation`` apart, then mixes channels, and adds its input:

    y = relu(norm(W1 [x(t-2d), x(t-d), x(t)]));  x' = relu(x + norm(W2 y))

With dilations 1, 2, 4, 8, 2, 1 a score sees 37 frames, 1.48 s: longer than any sensible wake
phrase. The last two blocks are dense again: where the last dilation was 4, scores flickered from
frame to frame, because neighbouring scores then rest on different frames.

Batch normalisation is folded into the weights at export, and so are the mean and the deviation of
the features, so that on the board there are only matrix products. Convolutions are written as
products over joined frames because that is exactly what the exported graph does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.synthesis.phones import PHONES


@dataclass(frozen=True)
class WakeConfig:
    """Shape of the network."""

    channels: int = 64
    dropout: float = 0.1
    """Share of a block's inner channels that training hides."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 2, 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> WakeConfig:
        return WakeConfig(
            channels=int(values["channels"]),
            dropout=float(values["dropout"]),
            dilations=tuple(int(d) for d in values["dilations"]),
        )

    @property
    def context_frames(self) -> int:
        """Frames that one score sees, the newest included."""
        return 1 + 2 * sum(self.dilations)


class Normalised(nn.Module):
    """Linear layer followed by batch normalisation over all frames of a batch."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, inputs] -> [batch, frames, outputs]."""
        y = self.linear(x)
        return self.norm(y.flatten(0, 1)).view_as(y)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [outputs, inputs] and bias [outputs] that do both at once."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        gain = self.norm.weight * torch.rsqrt(variance + self.norm.eps)
        return self.linear.weight * gain[:, None], self.norm.bias - mean * gain


class Block(nn.Module):
    """One residual block."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.dropout = nn.Dropout(dropout)
        self.time = Normalised(3 * channels, channels)
        self.mix = Normalised(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, channels] -> the same; frames before the first count as zeros."""
        frames = x.shape[1]
        past = F.pad(x, (0, 0, 2 * self.dilation, 0))
        joined = torch.cat(
            [past[:, k * self.dilation : k * self.dilation + frames] for k in range(3)], dim=2
        )
        return F.relu(x + self.mix(self.dropout(F.relu(self.time(joined)))))


class WakeModel(nn.Module):
    """Frames in, one logit a frame out."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: WakeConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(MELS))
        self.register_buffer("deviation", torch.ones(MELS))
        self.stem = Normalised(FRAME_DIM, config.channels)
        self.blocks = nn.ModuleList(
            Block(config.channels, dilation, config.dropout) for dilation in config.dilations
        )
        self.head = nn.Linear(config.channels, 1)
        nn.init.constant_(self.head.bias, -4.0)  # the word is rare: start by saying no
        # Only training uses it: who can tell phones apart is less easily fooled by a cadence.
        self.phones = nn.Linear(config.channels, len(PHONES))

    def forward(self, frames: Tensor) -> Tensor:
        """Log-mel frames [batch, frames, 256] -> logits [batch, frames]."""
        return self.head(self.trunk(frames)).squeeze(2)

    def trunk(self, frames: Tensor) -> Tensor:
        """Log-mel frames [batch, frames, 256] -> [batch, frames, channels]."""
        mean = self.mean.repeat(HOPS_PER_FRAME)
        deviation = self.deviation.repeat(HOPS_PER_FRAME)
        x = F.relu(self.stem((frames - mean) / deviation))
        for block in self.blocks:
            x = block(x)
        return x

    def set_feature_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Sets the mean [64] and deviation [64] that features are normalised with."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


def scores(model: WakeModel, frames: Tensor) -> Tensor:
    """Scores in 0..1, as on the board: [batch, frames, 256] -> [batch, frames]."""
    model.eval()
    with torch.no_grad():
        return torch.sigmoid(model(frames))
