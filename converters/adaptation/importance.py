"""How much each weight matters to everybody: elastic weight consolidation.

    loss = loss on the person + strength / 2 · Σ importance · (weight - weight before)²

(Kirkpatrick et al. 2017, arXiv:1612.00796). The importance is the diagonal of the empirical
Fisher information, the mean squared gradient over clips of general speech: a weight on which
other people's recognition hangs is held, an idle one is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from converters.asr.loss import transducer_loss
from converters.asr.model import Recogniser

Example = tuple[Tensor, Tensor]
"""Frames float32 [T, 256] and labels int64 [U] of one clip."""


def exact_loss(model: Recogniser, frames: Tensor, masks: Tensor | None, context: Tensor,
               targets: Tensor, labels: Tensor) -> Tensor:  # fmt: skip
    """The transducer's loss over the whole lattice, nats per row, float32 [B].

    The pruned loss needs the simple joiner, which no bundle keeps; batches are small here.

    Args:
        model: with or without gradients.
        frames: float32 [B, T, 256].
        masks: bool like the frames, or None.
        context: int64 [B], frames that are heard and not decoded.
        targets: int64 [B, U].
        labels: int64 [B].
    """
    encoded = model.encoder(frames, masks)
    time = torch.arange(frames.shape[1])
    shifted = (time[None] + context[:, None]).clamp_max(frames.shape[1] - 1)
    encoded = encoded.gather(1, shifted[..., None].expand(-1, -1, encoded.shape[2]))
    predicted = model.predictor.along(targets)
    logits = model.joiner(encoded[:, :, None], predicted[:, None])
    return transducer_loss(logits, targets, frames.shape[1] - context, labels)


def importance(
    model: Recogniser,
    names: Iterable[str],
    examples: Sequence[Example],
    on_example: Callable[[], None] = lambda: None,
) -> dict[str, Tensor]:
    """Mean squared gradient of the loss per label over clips of general speech.

    Args:
        model: before the adaptation.
        names: parameters to weigh.
        examples: clips; fewer than some twenty give a rough estimate.
        on_example: called after every clip.

    Returns:
        float32 like each parameter, by its name.
    """
    parameters = {name: model.get_parameter(name) for name in names}
    totals = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for frames, labels in examples:
        loss = exact_loss(
            model, frames[None], None, torch.zeros(1, dtype=torch.long), labels[None],
            torch.tensor([len(labels)]),
        )[0] / (len(labels) + 1)  # fmt: skip
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        for name, gradient in zip(parameters, gradients, strict=True):
            totals[name].addcmul_(gradient, gradient, value=1.0 / len(examples))
        on_example()
    return totals
