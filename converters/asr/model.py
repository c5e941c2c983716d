"""The recogniser: a streaming LSTM transducer (Graves 2012; He et al. 2019, arXiv:1811.06621).

    frame [256] - level - mean ─ linear ─ 4 × (layer norm ─ LSTM, residual)
                                      ─ layer norm ─ linear = encoding [256] ─┐
    last two labels ─ embeddings ─ linear ─ relu ─ linear = prediction [256] ─┤
                            logits [29] = linear(tanh(encoding + prediction)) ┘

The predictor sees only the last two labels (Ghodsi et al. 2020): on the board it is a table.
The encoder projects into the joiner's space by itself, so that other encoders can share the
predictor and the joiner.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from agent.hearing.features import FRAME_DIM, HOPS_PER_FRAME, MELS
from converters.asr.loss import Alignment, lattice_loss
from converters.asr.predictors import LongPredictor, Predictor
from converters.asr.pruning import label_windows, scatter_window, simple_loss
from converters.asr.text import VOCABULARY
from converters.synthesis.phones import PHONES

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


class Joiner(nn.Module):
    """Encoding and prediction, broadcast against each other, to logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.output = nn.Linear(shape.joint, shape.labels)

    def forward(self, encoding: Tensor, prediction: Tensor) -> Tensor:
        """logits [..., labels]."""
        return self.output(torch.tanh(encoding + prediction))


class Pass(NamedTuple):
    """What one pass of a recogniser over a batch of rows gives."""

    simple: Tensor
    pruned: Tensor
    heard: Tensor
    """Simple, pruned and phone loss, float32 [B], nats per row."""
    phone_logits: Tensor
    """[B, T, phones], of every frame, context included."""
    encoded: Tensor
    """[B, T, joint], the context cut off and the last frame repeated in its place; without the
    transducer there are none."""
    frames: Tensor
    """int64 [B], how many of these are to be decoded."""


class Recogniser(nn.Module):
    """The transducer with its training losses."""

    def __init__(self, shape: Shape | None = None, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.encoder = Encoder(self.shape, dropout)
        kind = LongPredictor if self.shape.long_memory else Predictor
        self.predictor = kind(
            self.shape.labels, self.shape.embedding, self.shape.predictor, self.shape.joint
        )
        self.joiner = Joiner(self.shape)
        # Only training uses these: what is sounded, and the simple joiner that finds the windows.
        self.phones = nn.Linear(self.shape.hidden, len(PHONES))
        self.simple_acoustic = nn.Linear(self.shape.joint, self.shape.labels)
        self.simple_linguistic = nn.Linear(self.shape.joint, self.shape.labels)

    def forward(
        self,
        frames: Tensor,
        masks: Tensor | None,
        context: Tensor,
        targets: Tensor,
        labels: Tensor,
        phones: Tensor,
        transduce: bool = True,
        early: float = 0.0,
    ) -> Pass:
        """Losses of a batch of rows.

        Args:
            frames: float32 [B, T, 256].
            masks: bool [B, T, 256] or None.
            context: int64 [B], frames at the start of each row that are heard and not decoded.
            targets: int64 [B, U].
            labels: int64 [B].
            phones: int64 [B, T, 4], what each hop of a frame is to be heard as; -1: unknown.
            transduce: without it the first two losses are zero, and nothing is spent on them.
            early: by how much labels are preferred to blanks, see `loss.lattice_loss`.
        """
        middle = self.encoder.begin(frames, masks)
        sounded = self.phone_logits(middle)
        heard = self._phone_loss(sounded, phones)
        length = frames.shape[1] - context
        if not transduce:
            none = torch.zeros_like(heard)
            return Pass(none, none, heard, sounded, middle[:, :0, :0], length)
        encoded = self.without_context(self.encoder.finish(middle), context)
        predicted = self.predictor.along(targets)
        with torch.autocast(frames.device.type, enabled=False):
            # Sums over the whole vocabulary of exponentials: too rough in bfloat16.
            acoustic = self.simple_acoustic(encoded.float())
            linguistic = self.simple_linguistic(predicted.float())
            simple = simple_loss(acoustic, linguistic, targets, length, labels, early)
        pruned = self._pruned(encoded, predicted, targets, length, labels, simple, early)
        return Pass(simple.loss, pruned.loss, heard, sounded, encoded, length)

    def phone_logits(self, middle: Tensor) -> Tensor:
        """What is sounded in the four hops of each frame: [B, T, hidden] to [B, T, phones]."""
        logits: Tensor = self.phones(nn.functional.layer_norm(middle, middle.shape[-1:]))
        return logits

    @staticmethod
    def without_context(encoded: Tensor, context: Tensor) -> Tensor:
        """Encodings [B, T, joint] moved forward by what is not decoded, the last one repeated."""
        time = torch.arange(encoded.shape[1], device=encoded.device)
        shifted = (time[None] + context[:, None]).clamp_max(encoded.shape[1] - 1)
        return encoded.gather(1, shifted[..., None].expand(-1, -1, encoded.shape[2]))

    def _phone_loss(self, logits: Tensor, phones: Tensor) -> Tensor:
        """Cross entropy of the phones that the synthesiser sounded, summed over frames [B].

        A transducer must find out what is said and when; told when by the engines, the encoder
        learns to hear many times faster (Hu et al. 2020, arXiv:2005.00572).
        """
        chances = logits.float().log_softmax(-1).gather(2, phones.clamp_min(0))
        return -(chances * (phones >= 0)).mean(2).sum(1)

    def _pruned(
        self,
        encoded: Tensor,
        predicted: Tensor,
        targets: Tensor,
        length: Tensor,
        labels: Tensor,
        simple: Alignment,
        early: float,
    ) -> Alignment:
        nodes = predicted.shape[1]
        width = min(self.shape.window, nodes)
        start = label_windows(simple.blank + simple.label, length, labels, width)
        positions = start[..., None] + torch.arange(width, device=start.device)
        rows = torch.arange(len(labels), device=start.device)[:, None, None]
        logits = self.joiner(encoded[:, :, None], predicted[rows, positions])
        log_probs = logits.float().log_softmax(-1)
        wanted = nn.functional.pad(targets, (0, 1))[rows, positions]
        label = log_probs.gather(3, wanted[..., None]).squeeze(3)
        return lattice_loss(
            scatter_window(log_probs[..., 0], positions, nodes),
            scatter_window(label, positions, nodes),
            length,
            labels,
            early,
        )
