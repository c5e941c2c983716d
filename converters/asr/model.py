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

from typing import NamedTuple

import torch
from torch import Tensor, nn

from converters.asr.encoder import Encoder, Shape
from converters.asr.loss import Alignment, lattice_loss
from converters.asr.predictors import LongPredictor, Predictor
from converters.asr.pruning import label_windows, scatter_window, simple_loss
from converters.synthesis.phones import PHONES


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
