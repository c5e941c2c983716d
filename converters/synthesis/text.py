"""Sentences for speech: assistant commands from templates, and free text beside them.

`TextGenerator(seed, split).sentence()` gives one sentence after the other. About one in eight is
free text (loose phrases, names, spelled letters, figures), so that a recogniser does not learn the
templates alone. What belongs to a test is decided by `holdout.py`, never by the order of drawing.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from converters.synthesis.framing import CLOSINGS, FREE_SHAPES, OPENINGS
from converters.synthesis.grammar import grammar
from converters.synthesis.holdout import Split, sentence_split
from converters.synthesis.name_lists import name_lists
from converters.synthesis.slots import SlotFiller

FREE_TEXT = "free"
"""Intent of sentences that follow no template."""
_FREE_SHARE = 0.12
_ATTEMPTS = 50_000
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Sentence:
    """One thing to say, and what a listener should get out of it."""

    text: str
    """Spoken form: lower case, a-z, apostrophe and single spaces."""
    intent: str
    """Name of the intent, or "free"."""
    names: tuple[str, ...] = ()
    """The personal names in the text, in order."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """Slot of the template -> its text; a second slot of the same kind is `item_2`, and so on."""


class TextGenerator:
    """An endless stream of sentences.

    Args:
        seed: Whole number; the same seed gives the same stream.
        split: Which side of the hold-out the sentences come from.
        held_names: Use the names held out for `split` instead of those of training, and give only
            sentences that hold at least one. Training has no such names.
        free: None mixes templates and free text; True or False gives only the one kind.
        named: Give only sentences that hold a name, whichever names are used.

    Raises:
        ValueError: Held-out names are asked for in the training split.
    """

    def __init__(
        self,
        seed: int,
        split: Split,
        held_names: bool = False,
        free: bool | None = None,
        named: bool = False,
    ) -> None:
        if held_names and split == "train":
            raise ValueError("Training text has no held-out names.")
        self._rng = random.Random(seed)
        self._split = split
        self._named = named or held_names
        self._free = free
        self._filler = SlotFiller(self._rng, name_lists(split if held_names else "train"))
        self._intents = grammar().intents
        self._intent_weights = [intent.weight for intent in self._intents]
        self._free_weights = [weight for weight, _ in FREE_SHAPES]

    def sentence(self) -> Sentence:
        """The next sentence of the split."""
        for _ in range(_ATTEMPTS):
            drawn = self._draw()
            if drawn.names or not self._named:
                # Sentences without slots are common property: see `holdout.py`.
                home = sentence_split(drawn.text) if drawn.slots else "train"
                if home == self._split:
                    return drawn
        raise RuntimeError(f"No sentence of split {self._split} in {_ATTEMPTS} draws.")

    def _draw(self) -> Sentence:
        rng = self._rng
        free = rng.random() < _FREE_SHARE if self._free is None else self._free
        if free:
            template = rng.choices(FREE_SHAPES, self._free_weights)[0][1]
            return self._compose(FREE_TEXT, template)
        intent = rng.choices(self._intents, self._intent_weights)[0]
        template = rng.choice(intent.templates)
        dressing = rng.random()
        if dressing < 0.05:
            template = f"{rng.choice(OPENINGS)} {template}"
        elif dressing < 0.08:
            template = f"{template} {rng.choice(CLOSINGS)}"
        return self._compose(intent.name, template)

    def _compose(self, intent: str, template: str) -> Sentence:
        self._filler.used_names.clear()
        slots: dict[str, str] = {}
        seen: Counter[str] = Counter()

        def put(match: re.Match[str]) -> str:
            kind, said = match[1], self._filler.slot(match[1])
            seen[kind] += 1
            slots[kind if seen[kind] == 1 else f"{kind}_{seen[kind]}"] = said
            return said

        text = _SLOT.sub(put, template)
        return Sentence(text, intent, tuple(self._filler.used_names), slots)
