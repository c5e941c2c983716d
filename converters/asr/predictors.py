"""What the labels said so far predict: a short memory that ships, and a long one to compare with.

Both answer to all prefixes of a text at once, for the losses, and label by label, for decoding.
What a predictor remembers between labels is one row of numbers per utterance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from converters.asr.text import BLANK


def label_pairs(targets: Tensor) -> Tensor:
    """The two labels before each label and after the last: [B, U] -> [B, U + 1, 2]."""
    padded = nn.functional.pad(targets, (2, 0))
    return torch.stack((padded[:, :-1], padded[:, 1:]), -1)


class Predictor(nn.Module):
    """Label pairs [..., 2] to predictions [..., joint] (stateless; Ghodsi et al. 2020).

    Args:
        labels: how many there are.
        embedding: numbers per label.
        hidden: width between.
        joint: numbers in a prediction.
    """

    def __init__(self, labels: int, embedding: int, hidden: int, joint: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, embedding)
        self.hidden = nn.Linear(2 * embedding, hidden)
        self.output = nn.Linear(hidden, joint)

    def forward(self, pairs: Tensor) -> Tensor:
        """Args: pairs int64 [..., 2], older label first, 0 where there is none yet."""
        return self.output(torch.relu(self.hidden(self.embedding(pairs).flatten(-2))))

    def along(self, targets: Tensor) -> Tensor:
        """Predictions before each label and after the last: int64 [B, U] -> [B, U + 1, joint]."""
        return self(label_pairs(targets))

    def start(self, batch: int) -> Tensor:
        """What is remembered before the first label, int64 [batch, 2]."""
        return torch.zeros(batch, 2, dtype=torch.long, device=self.output.weight.device)

    def after(self, memory: Tensor, labels: Tensor) -> Tensor:
        """What is remembered after one more label each, int64 [batch]."""
        return torch.stack((memory[:, 1], labels), -1)

    def answer(self, memory: Tensor) -> Tensor:
        """Predictions [batch, joint] for what is remembered."""
        return self(memory)


class LongPredictor(nn.Module):
    """An LSTM over all labels so far (Graves 2012), with the methods of `Predictor`.

    Only training and greedy decoding know it: on the board the predictor is a table by two labels.
    """

    def __init__(self, labels: int, embedding: int, hidden: int, joint: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, embedding)
        self.cell = nn.LSTM(embedding, hidden, batch_first=True)
        self.output = nn.Linear(hidden, joint)

    def along(self, targets: Tensor) -> Tensor:
        """Predictions before each label and after the last: int64 [B, U] -> [B, U + 1, joint]."""
        begun = nn.functional.pad(targets, (1, 0), value=BLANK)
        remembered: Tensor = self.cell(self.embedding(begun))[0]
        return self.output(remembered)

    def start(self, batch: int) -> Tensor:
        """What is remembered before the first label: output and cell, float [batch, 2 * hidden]."""
        weight = self.output.weight
        nothing = weight.new_zeros(batch, 2 * weight.shape[1])
        return self.after(nothing, torch.full((batch,), BLANK, device=weight.device))

    def after(self, memory: Tensor, labels: Tensor) -> Tensor:
        """What is remembered after one more label each, int64 [batch]."""
        output, cell = memory.chunk(2, 1)
        state = (output[None].contiguous(), cell[None].contiguous())
        _, (output, cell) = self.cell(self.embedding(labels)[:, None], state)
        return torch.cat((output[0], cell[0]), 1)

    def answer(self, memory: Tensor) -> Tensor:
        """Predictions [batch, joint] for what is remembered."""
        return self.output(memory.chunk(2, 1)[0])
