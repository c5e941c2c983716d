"""Greedy transducer decoding of a batch, for evaluation while training."""

from __future__ import annotations

import torch
from torch import Tensor

from converters.asr.model import Recogniser
from converters.asr.text import BLANK
from converters.asr.units import LETTERS, Units

MAX_LABELS_PER_FRAME = 6


@torch.no_grad()
def greedy(
    model: Recogniser, frames: Tensor, lengths: Tensor, units: Units = LETTERS
) -> list[str]:
    """Most probable label at every step, all utterances in step.

    Args:
        model: in evaluation mode.
        frames: float32 [B, T, 256].
        lengths: int64 [B], frames of each utterance.
        units: what the labels stand for.

    Returns:
        B texts.
    """
    encoded = model.encoder(frames)
    batch = len(lengths)
    memory = model.predictor.start(batch)
    predicted = model.predictor.answer(memory)
    found: list[list[int]] = [[] for _ in range(batch)]
    for t in range(encoded.shape[1]):
        active = lengths > t
        for _ in range(MAX_LABELS_PER_FRAME):
            best = model.joiner(encoded[:, t], predicted).argmax(-1)
            emits = active & (best != BLANK)
            if not bool(emits.any()):
                break
            for row in emits.nonzero().flatten().tolist():
                found[row].append(int(best[row]))
            memory = torch.where(emits[:, None], model.predictor.after(memory, best), memory)
            predicted = model.predictor.answer(memory)
            active = emits
    return [units.decode(labels) for labels in found]
