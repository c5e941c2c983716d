"""Damage of all kinds, decided by a number: the same number always does the same."""

from __future__ import annotations

import random
from collections.abc import Sequence


def mutated(originals: Sequence[bytes], seed: int) -> bytes:
    """One of some byte strings, damaged in one to four places."""
    generator = random.Random(seed)
    content = bytearray(generator.choice(originals))
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        _damage(content, originals, generator)
    return bytes(content)


def _damage(content: bytearray, originals: Sequence[bytes], generator: random.Random) -> None:
    place = generator.randrange(len(content) + 1)
    some = generator.randint(1, 8)
    kind = generator.randrange(8)
    if kind == 0 and place < len(content):
        content[place] ^= 1 << generator.randrange(8)
    elif kind == 1 and place < len(content):
        content[place] = generator.choice((0, 1, 0x7F, 0x80, 0xFF))
    elif kind == 2:
        content[place:place] = generator.randbytes(some)
    elif kind == 3:
        del content[place : place + some]
    elif kind == 4:
        del content[place:]
    elif kind == 5:
        content[place:place] = content[place : place + 4 * some]
    elif kind == 6:
        # A number of up to nine bytes where a small one was.
        content[place : place + 1] = b"\xff" * some + b"\x7f"
    else:
        other = generator.choice(originals)
        start = generator.randrange(len(other))
        content[place : place + 4 * some] = other[start : start + 4 * some]
