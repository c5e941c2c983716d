"""What a training step minimises: the recogniser's own losses and those of optional methods."""

from __future__ import annotations

from torch import Tensor, nn

from converters.asr.agreement import disagreement
from converters.asr.expected_errors import expected_errors
from converters.asr.methods import Methods
from converters.asr.model import Recogniser


class Objective(nn.Module):
    """A recogniser and the methods by which it learns; one pass gives all losses.

    Args:
        model: what learns.
        methods: by what.
    """

    def __init__(self, model: Recogniser, methods: Methods) -> None:
        super().__init__()
        self.model = model
        self.methods = methods

    def forward(
        self,
        frames: Tensor,
        masks: Tensor,
        context: Tensor,
        targets: Tensor,
        labels: Tensor,
        phones: Tensor,
        transduce: bool,
    ) -> dict[str, Tensor]:
        """Losses by name, each float32 [B]; for the arguments see `Recogniser.forward`."""
        went = self.model(
            frames, masks, context, targets, labels, phones, transduce, self.methods.early
        )
        losses = {"simple": went.simple, "pruned": went.pruned, "phones": went.heard}
        if self.methods.teacher:
            losses["taught"] = self.methods.teacher.distance(went, frames, context)
        if self.methods.agree_weight:
            losses["agreed"] = disagreement(self.model, went.phone_logits, frames, masks)
        if self.methods.word_weight and transduce:
            losses["words"] = expected_errors(
                self.model, went.encoded, went.frames, targets, labels, self.methods.search
            )
        return losses
