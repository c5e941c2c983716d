"""Two views of the same sound should be heard alike (CR-CTC; Yao et al. 2024, arXiv:2410.05101).

The second view of a row has other parts masked, and other channels dropped. Where the two disagree
about the phones, each moves towards the other. Unlike the phone loss this works where nobody knows
what is sounded, so it also learns from real speech.
"""

from __future__ import annotations

from torch import Tensor

from converters.asr.model import Recogniser


def disagreement(model: Recogniser, first: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
    """How differently two views are heard, float32 [B], nats summed over frames.

    Half the sum of both divergences; of each, only the view that is to move has a gradient.

    Args:
        model: in training.
        first: phone logits of the first view, float [B, T, phones].
        frames: float32 [B, T, 256].
        masks: bool [B, T, 256], those of the first view: each row now gets its neighbour's.
    """
    second = model.phone_logits(model.encoder.begin(frames, masks.roll(1, 0)))
    one, other = first.float().log_softmax(-1), second.float().log_softmax(-1)
    return 0.5 * (_divergence(one.detach(), other) + _divergence(other.detach(), one))


def _divergence(wanted: Tensor, found: Tensor) -> Tensor:
    return (wanted.exp() * (wanted - found)).sum((1, 2))
