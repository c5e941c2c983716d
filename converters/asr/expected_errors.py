"""Minimum word error rate training of a transducer (Prabhavalkar et al. 2018, arXiv:1712.01818).

The transducer's loss makes the right labels likely; what counts is how many words are wrong in the
reading that wins. A last stage of training lowers their expected number:

    risk = sum over readings i of P(i) errors(i),   P = softmax over the readings of their scores

The readings are the n best of the model as it is, found by the board's own beam; the score of each
is its log-probability summed over all alignments (Guo et al. 2020, arXiv:2007.13802), exact, and
what the language model adds, because that decides on the board, too. As P sums to one, taking the
mean number of errors off, as the papers do, changes neither the gradient nor the minimum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from converters.asr.loss import lattice_loss
from converters.asr.methods import Search
from converters.asr.model import Recogniser
from converters.asr.predictors import label_pairs
from converters.asr.readings import readings
from converters.asr.score import word_errors
from converters.asr.text import VOCABULARY, decode


def expected_errors(
    model: Recogniser,
    encoded: Tensor,
    frames: Tensor,
    targets: Tensor,
    labels: Tensor,
    search: Search,
) -> Tensor:
    """Expected word errors of each row, float32 [B].

    Args:
        model: in training.
        encoded: float [B, T, joint], its encodings; gradients flow into them.
        frames: int64 [B], how many of them belong to the row.
        targets: int64 [B, U], what is said.
        labels: int64 [B], how many of these belong to the row.
        search: how its readings are found.
    """
    found = readings(model, encoded, frames, search)
    longest = max(1, *(len(reading.labels) for row in found for reading in row))
    size = (len(found), max(map(len, found)))
    spelled = torch.zeros(*size, longest, dtype=torch.long)
    counts = torch.zeros(size, dtype=torch.long)
    # A row may have fewer readings than others: what it lacks can never be said.
    gains = torch.full(size, -torch.inf)
    errors = torch.zeros(size)
    for row, those in enumerate(found):
        said = decode(targets[row, : int(labels[row])].tolist())
        for i, reading in enumerate(those):
            counts[row, i] = len(reading.labels)
            spelled[row, i, : len(reading.labels)] = torch.tensor(reading.labels)
            gains[row, i] = reading.gain
            errors[row, i] = word_errors(said, decode(reading.labels)).errors
    device = encoded.device
    scores = sequence_scores(model, encoded, frames, spelled.to(device), counts.to(device))
    return ((scores + gains.to(device)).softmax(1) * errors.to(device)).sum(1)


def sequence_scores(
    model: Recogniser, encoded: Tensor, frames: Tensor, spelled: Tensor, counts: Tensor
) -> Tensor:
    """Log-probabilities of several label sequences a row, each summed over all its alignments.

    What may come next depends on the frame and on the last two labels, and the readings of a row
    have most pairs of labels in common: the joiner looks at each distinct pair once.

    Args:
        model: predictor and joiner.
        encoded: float [B, T, joint].
        frames: int64 [B].
        spelled: int64 [B, N, U].
        counts: int64 [B, N], labels in each.

    Returns:
        float32 [B, N].
    """
    batch, many, longest = spelled.shape
    pairs = label_pairs(spelled.flatten(0, 1))
    codes = (VOCABULARY * pairs[..., 0] + pairs[..., 1]).view(batch, many * (longest + 1))
    distinct, which = _distinct(codes)
    predicted = model.predictor(torch.stack((distinct // VOCABULARY, distinct % VOCABULARY), -1))
    logits = model.joiner(encoded[:, :, None], predicted[:, None])
    log_probs = logits.float().log_softmax(-1)
    wanted = torch.nn.functional.pad(spelled, (0, 1)).flatten(1)
    # [B, T, N * (U + 1)]: the nodes of all lattices of a row side by side.
    each = (-1, encoded.shape[1], -1)
    blank = log_probs[..., 0].gather(2, which[:, None].expand(each))
    label = log_probs.flatten(2).gather(2, (VOCABULARY * which + wanted)[:, None].expand(each))
    blank, label = (
        arcs.unflatten(2, (many, longest + 1)).transpose(1, 2).flatten(0, 1)
        for arcs in (blank, label)
    )
    found = lattice_loss(blank, label, frames.repeat_interleave(many), counts.flatten())
    return -found.loss.view(batch, many)


def _distinct(codes: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct numbers of each row, and where among them each number is.

    Args:
        codes: int64 [B, M].

    Returns:
        int64 [B, P], padded with zeros, and int64 [B, M] with codes = distinct.gather(1, which).
    """
    ordered, order = codes.sort(1)
    fresh = torch.nn.functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0))
    rank = fresh.cumsum(1)
    which = torch.empty_like(rank).scatter_(1, order, rank)
    distinct = codes.new_zeros(len(codes), int(rank.max()) + 1).scatter_(1, rank, ordered)
    return distinct, which
