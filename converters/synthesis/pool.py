"""A pool of speech on disk: one flat file of samples, one line of JSON per utterance.

    pool.json        what defines it: recipe, seed, versions of engines and sources, and their hash
    audio.i16        int16 samples, little endian, mono, 16 kHz, utterances one after the other
    manifest.jsonl   one `PoolItem` per line, in the order of the samples

Samples are written before their line, so a pool can be read while it grows, and one that was cut
off is continued where its last whole line ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from converters import cache
from converters.synthesis.errors import PoolError

SAMPLE_RATE = 16_000
_AUDIO, _MANIFEST, _DEFINITION = "audio.i16", "manifest.jsonl", "pool.json"


@dataclass(frozen=True)
class PoolItem:
    """One utterance of a pool."""

    index: int
    """Index in the recipe; not always the position, as an index may have given no speech."""
    offset: int
    """First sample in the audio file."""
    samples: int
    """Number of samples."""
    seconds: float
    text: str
    speaker: str
    engine: str
    voice: str
    split: str
    kind: str
    cell: str
    """Which cell of a test (`template-seen`, ...), or which kind of wake example."""
    intent: str
    names: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    word_ends_s: tuple[float | None, ...] = ()
    """End of each word as the engine planned it, or null where it does not tell."""
    phones: str = ""
    """What is sounded, phones of `phones.PHONES` separated by spaces, "?" for an unknown one."""
    phone_ends_ms: tuple[int, ...] = ()
    """End of each phone in milliseconds, as the engine planned it."""
    phrase_end_s: float | None = None
    """Where the wake phrase ends. Measured to 10 ms where it stands alone or before a gap; as the
    engine planned it, good to some 40 ms, where it runs into the command. Null in negatives."""


@dataclass(frozen=True)
class Pool:
    """A pool opened for reading, as it was at that moment."""

    path: Path
    definition: Mapping[str, object]
    items: list[PoolItem]
    samples: npt.NDArray[np.int16]
    """All samples, memory-mapped, shape [total]."""

    def audio(self, position: int) -> npt.NDArray[np.int16]:
        """Samples of `items[position]`: int16, mono, 16 kHz, shape [n]."""
        item = self.items[position]
        return self.samples[item.offset : item.offset + item.samples]

    @property
    def hours(self) -> float:
        """Length of everything."""
        return sum(item.samples for item in self.items) / SAMPLE_RATE / 3600

    def __len__(self) -> int:
        return len(self.items)


_FIELDS = {f.name for f in fields(PoolItem)}


def parse_item(line: bytes, offset: int) -> PoolItem:
    """Read one line of a manifest.

    Args:
        line: JSON in UTF-8.
        offset: Where the samples of this utterance must begin.

    Raises:
        ValueError: The line is not what was written there.
    """
    try:
        values = {k: v for k, v in json.loads(line).items() if k in _FIELDS}
        values["names"] = tuple(values["names"])
        values["word_ends_s"] = tuple(values["word_ends_s"])
        values["phone_ends_ms"] = tuple(values.get("phone_ends_ms", ()))
        item = PoolItem(**values)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("Not an utterance.") from error
    whole = all(type(value) is int for value in (item.index, item.offset, item.samples))
    if not whole or item.offset != offset or item.samples <= 0 or not isinstance(item.text, str):
        raise ValueError("The utterance does not follow the one before it.")
    return item


def _items(path: Path) -> Iterator[tuple[PoolItem, int]]:
    """The whole lines of a manifest, each with the number of bytes up to its end."""
    end = offset = 0
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                item = parse_item(line, offset)
            except ValueError as error:
                raise PoolError(f"Line {number} of {path} is damaged: delete the pool.") from error
            offset += item.samples
            yield item, end


def _definition(path: Path) -> dict[str, object]:
    try:
        value = json.loads((path / _DEFINITION).read_text())
    except OSError as error:
        raise PoolError(f"There is no pool in {path}.") from error
    except ValueError as error:
        raise PoolError(f"{path / _DEFINITION} is damaged: delete the pool.") from error
    if not isinstance(value, dict):
        raise PoolError(f"{path / _DEFINITION} is damaged: delete the pool.")
    return value


def load_pool(path: Path | str) -> Pool:
    """Open a pool for reading; it may still be growing.

    Raises:
        PoolError: There is none, or it is damaged.
    """
    path = Path(path)
    definition = _definition(path)
    items = [item for item, _ in _items(path / _MANIFEST)]
    if not items:
        return Pool(path, definition, [], np.zeros(0, np.int16))
    # Only what the manifest covers is mapped: a writer may be at work behind it.
    total = items[-1].offset + items[-1].samples
    try:
        if (path / _AUDIO).stat().st_size < 2 * total:
            raise PoolError(
                f"The audio of the pool {path} is shorter than its manifest: delete it."
            )
        samples = np.memmap(path / _AUDIO, dtype="<i2", mode="r", shape=(total,))
    except OSError as error:
        raise PoolError(f"The audio of the pool {path} cannot be read: delete the pool.") from error
    return Pool(path, definition, items, samples)


class PoolWriter:
    """Appends utterances to a pool, new or begun earlier.

    Args:
        path: Folder of the pool.
        definition: What defines it; must equal that of a pool which is there already.

    Raises:
        PoolError: Another pool is in the folder.
    """

    def __init__(self, path: Path, definition: Mapping[str, object]) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        stamped = {**definition, "hash": cache.key(definition)}
        if (path / _DEFINITION).exists():
            if _definition(path) != stamped:
                raise PoolError(
                    f"{path} holds a pool of another recipe or of other engine versions: "
                    "choose another folder or delete it."
                )
        else:
            (path / _DEFINITION).write_text(json.dumps(stamped, indent=1) + "\n")
        self.count = 0
        self.next_index = 0
        self._offset = 0
        manifest_bytes = 0
        for item, end in _items(path / _MANIFEST):
            self.count += 1
            self.next_index = item.index + 1
            self._offset = item.offset + item.samples
            manifest_bytes = end
        audio_bytes = (path / _AUDIO).stat().st_size if (path / _AUDIO).exists() else 0
        if audio_bytes < 2 * self._offset:
            raise PoolError(
                f"The audio of the pool {path} is shorter than its manifest: delete it."
            )
        self._audio = (path / _AUDIO).open("ab")
        self._manifest = (path / _MANIFEST).open("ab")
        # Whatever was written after the last whole line belongs to nothing.
        self._audio.truncate(2 * self._offset)
        self._manifest.truncate(manifest_bytes)

    @property
    def seconds(self) -> float:
        """Length of everything written so far."""
        return self._offset / SAMPLE_RATE

    def append(self, item: PoolItem, samples: npt.NDArray[np.int16]) -> None:
        """Add one utterance; its `offset`, `samples` and `seconds` are filled in here."""
        values = asdict(item)
        values |= {
            "offset": self._offset,
            "samples": len(samples),
            "seconds": round(len(samples) / SAMPLE_RATE, 3),
        }
        self._audio.write(samples.astype("<i2", copy=False).tobytes())
        self._audio.flush()
        self._manifest.write((json.dumps(values, separators=(",", ":")) + "\n").encode())
        self._manifest.flush()
        self._offset += len(samples)
        self.count += 1
        self.next_index = item.index + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._audio.close()
        self._manifest.close()
