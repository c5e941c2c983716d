"""A student learns what a teacher hears (CoDERT; Swaminathan et al. 2021, arXiv:2106.07734).

The teacher is a recogniser of ours, larger or trained for longer. What its encoder gives tells
more than labels do: how a sound lies between two phones, and what its confusions are; the joiner's
answers would hide that (same paper). It hears every row as it was before parts were masked, and it
needs no transcript.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from agent.errors import BundleFileError
from converters.asr.checkpoint import load_recogniser
from converters.asr.model import Pass, Recogniser
from converters.export.warm_start import read_weights


class Teacher:
    """Compares a student's pass with its own.

    Args:
        model: a trained recogniser; is frozen.
        phones: whether its phones are compared, too: a bundle has none, a run does.
    """

    def __init__(self, model: Recogniser, *, phones: bool) -> None:
        self._model = model.eval().requires_grad_(False)
        self._phones = phones

    def move(self, device: torch.device) -> None:
        """To where the student is."""
        self._model.to(device)

    def distance(self, student: Pass, frames: Tensor, context: Tensor) -> Tensor:
        """How far the student is from what the teacher hears, float32 [B], summed over frames.

        Squared difference of the encodings, mean over their numbers, and divergence of the phones'
        chances in nats.

        Args:
            student: what it made of the same rows.
            frames: float32 [B, T, 256].
            context: int64 [B], frames that are heard and not decoded.
        """
        with torch.no_grad():
            middle = self._model.encoder.begin(frames)
            heard = self._model.phone_logits(middle).float().log_softmax(-1)
        apart = frames.new_zeros(len(frames))
        if self._phones:
            mine = student.phone_logits.float().log_softmax(-1)
            apart = apart + (heard.exp() * (heard - mine)).sum((1, 2))
        if student.encoded.shape[1]:
            with torch.no_grad():
                encoded = self._model.without_context(self._model.encoder.finish(middle), context)
            squares = (student.encoded.float() - encoded.float()).square().mean(2)
            frame = torch.arange(squares.shape[1], device=squares.device)
            apart = apart + (squares * (frame < student.frames[:, None])).sum(1)
        return apart


def read_teacher(path: Path) -> Teacher:
    """The averaged model of a run, or a bundle.

    Raises:
        BundleFileError: it is neither.
    """
    if (path / "checkpoint.pt").exists():
        return Teacher(load_recogniser(path), phones=True)
    if not (path / "encoder_slow.tflite").exists():
        raise BundleFileError(f"{path} is neither a run nor a bundle: there is no teacher in it.")
    shape, weights = read_weights(path)
    model = Recogniser(shape)
    model.load_state_dict(weights)
    return Teacher(model, phones=False)
