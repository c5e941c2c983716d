"""A small record that a power cut cannot tear: two copies, and only the older one is ever written.

    record = PingPongRecord(state / "update" / "floor")     # floor.0 and floor.1
    record.store(b"...")                                    # durable when it returns
    record.load()                                           # the newest whole copy, or None

Each copy is magic, sequence number, length, CRC and payload, padded to whole blocks. `store` writes
over the copy that is not the newest whole one and waits until it is on the disk; so whatever
happens, the other copy is whole. A copy that is torn, empty, garbage or missing is passed over.

A copy is overwritten in place and never made shorter: once both are there, a record that does not
outgrow its blocks can be stored on a disk that is full.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

from agent.update.storage import make_folder, sync

LARGEST_RECORD = 256 * 1024  # bytes of payload

_MAGIC = b"VAR1"
_HEAD = struct.Struct(">4sQII")  # magic, sequence, length, CRC of sequence, length and payload
_CHECKED = struct.Struct(">QI")
_BLOCK = 4096  # bytes; what file systems hand out


class PingPongRecord:
    """One record in two copies.

    Belongs to one writer at a time, who holds a lock of their own; anybody may load.

    Args:
        path: Name without the `.0` and `.1` of the copies; its folder is made by `store`.
        mode: Who may read it.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self._mode = mode
        self._copies = (path.with_name(path.name + ".0"), path.with_name(path.name + ".1"))

    @property
    def copies(self) -> tuple[Path, Path]:
        """The two files."""
        return self._copies

    def load(self) -> bytes | None:
        """The payload of the newest whole copy, or None if there is none.

        What is returned is on the disk: a copy that its writer could not sync any more is synced.
        """
        newest = max(self._whole(), default=None)
        if newest is None:
            return None
        _, index, payload = newest
        with contextlib.suppress(OSError):
            sync(self._copies[index])
        return payload

    def store(self, payload: bytes) -> None:
        """Replaces the record; durable when this returns.

        Args:
            payload: The new content.

        Raises:
            ValueError: It is longer than `LARGEST_RECORD`.
            OSError: It could not be written; the last record holds.
        """
        if len(payload) > LARGEST_RECORD:
            raise ValueError(f"{len(payload)} bytes are more than the {LARGEST_RECORD} allowed")
        sequence, newest, _ = max(self._whole(), default=(0, 1, b""))
        target = self._copies[1 - newest]
        make_folder(target.parent, 0o750)
        content = _packed(sequence + 1, payload)
        is_new = not target.exists()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, self._mode)
        try:
            if is_new:
                # Whatever the umask says: others may have to read it.
                os.fchmod(descriptor, self._mode)
            offset = 0
            while offset < len(content):
                offset += os.pwrite(descriptor, content[offset:], offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync(target.parent)

    def _whole(self) -> list[tuple[int, int, bytes]]:
        """(sequence, which copy, payload) of every copy that is whole."""
        found = []
        for index, copy in enumerate(self._copies):
            try:
                with copy.open("rb") as stream:
                    content = stream.read(_HEAD.size + LARGEST_RECORD)
            except OSError:
                continue
            unpacked = _unpacked(content)
            if unpacked is not None:
                found.append((unpacked[0], index, unpacked[1]))
        return found


def _packed(sequence: int, payload: bytes) -> bytes:
    checked = _CHECKED.pack(sequence, len(payload))
    head = _HEAD.pack(_MAGIC, sequence, len(payload), zlib.crc32(payload, zlib.crc32(checked)))
    return head + payload + bytes(-(len(head) + len(payload)) % _BLOCK)


def _unpacked(content: bytes) -> tuple[int, bytes] | None:
    if len(content) < _HEAD.size:
        return None
    magic, sequence, length, crc = _HEAD.unpack_from(content)
    payload = content[_HEAD.size : _HEAD.size + length]
    checked = _CHECKED.pack(sequence, length)
    if magic != _MAGIC or len(payload) != length:
        return None
    return (sequence, payload) if zlib.crc32(payload, zlib.crc32(checked)) == crc else None
