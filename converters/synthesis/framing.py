"""What stands around commands, and the shapes of text that is no command at all."""

from __future__ import annotations

import re

OPENINGS = (
    "please", "hey", "can you", "could you please", "okay", "i want you to", "would you", "now",
    "um", "so", "and", "just", "quickly",
)  # fmt: skip
"""What people put before a command, now and then."""
CLOSINGS = ("please", "now", "right now", "thanks", "for me", "if you can")
"""And after it."""
FREE_SHAPES: tuple[tuple[int, str], ...] = (
    (5, "{word} {word} {word}"),
    (5, "{word} {word} {word} {word} {word}"),
    (3, "{word} {word} {word} {word} {word} {word} {word}"),
    (3, "{word}"),
    (3, "{word} {word}"),
    (4, "the {word} of the {word} was {word}"),
    (4, "{first} said that the {word} is {word}"),
    (3, "i saw a {word} {word} near the {place_kind}"),
    (3, "we {word} the {word} with {first} {last}"),
    (3, "there were {number} {word} in {city}"),
    (3, "why did {first} {word} the {word}"),
    (3, "she {word} every {word} and he {word} them"),
    (3, "it is not {word} to {word} a {word}"),
    (3, "if you {word} it then {word} will {word}"),
    (2, "{first} {last} and {first} {last}"),
    (4, "{first} {last}"),
    (2, "{first} {first} {first}"),
    (3, "{letters}"),
    (2, "{digits}"),
    (2, "{last} is spelled {letters}"),
    (3, "my {word} has {n12} {word} and a {word}"),
    (3, "they would {word} from {city} to {city}"),
    (2, "in {month} {first} {last} will {word} for {country}"),
    (3, "from {word} to {word} and back to the {word}"),
)
"""(weight, shape) of free text: loose phrases that no template of a command would give."""


def framing_words() -> frozenset[str]:
    """Every literal word in the above."""
    texts = (*OPENINGS, *CLOSINGS, *(shape for _, shape in FREE_SHAPES))
    return frozenset(re.findall(r"[a-z']+", re.sub(r"\{\w+\}", " ", " ".join(texts))))
