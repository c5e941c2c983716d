"""A diff: one file that turns the bundle of one release into that of another.

    with open("command_en-1-2.diff", "rb") as stream:
        header = read_header(stream)        # which bundle it starts from, which it makes
        apply_diff(stream, base, result)    # writes every file of the new bundle below `result`

Layout, version 1; numbers are little-endian, a varint is that of agent.update.byte_reader:

    magic         4 bytes   "VDIF"
    version       u8        1
    extension     varint, then so many bytes, which a reader of version 1 skips
    base          32 bytes  bundle digest (agent.update.bundle_files) of what it starts from
    result        32 bytes  bundle digest of what it makes
    result size   varint    bytes of all result files
    plan size     varint    bytes of the unpacked plan
    plan          packed    see agent.update.packed_bytes and agent.update.diff_plan
    literals      packed    the bytes that `replace` and `insert` pieces bring along, in their order
    weights                 the rest, if the plan has a matrix: agent.update.weight_changes

What is promised:

* Nothing is written unless the base has the digest that the diff names, and nothing is returned
  unless the result has the one it promises: every file's path, length and SHA-256 are in these
  digests.
* The result is the same on every processor: integers only, Q' = clip(Q + D).
* Every input that is not a whole diff gives a `DiffError`. Time is linear in the bytes of the diff
  and of the result; memory is bounded by one block of changes (a few megabytes), whatever the
  sizes.
* A later format is refused as such (`UnsupportedDiffError`), so that a board can say that it
  needs a newer agent. Optional additions go into the extension, which is skipped.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agent.bundle.schema import LARGEST_BUNDLE
from agent.errors import (
    BaseMismatchError,
    BundleFileError,
    DiffStorageError,
    MalformedDiffError,
    ResultMismatchError,
    UnsupportedDiffError,
)
from agent.update.bundle_files import (
    CHUNK,
    FileDigest,
    bundle_digest,
    bundle_paths,
    digest_files,
)
from agent.update.byte_reader import ByteReader
from agent.update.diff_base import open_base
from agent.update.diff_plan import LARGEST_PLAN, FilePlan, Kind, Piece, Plan
from agent.update.packed_bytes import Unpacker
from agent.update.sparse_diff import RowMap
from agent.update.weight_changes import WeightChanges

__all__ = [
    "FORMAT",
    "MAGIC",
    "DiffHeader",
    "FileDigest",
    "apply_diff",
    "bundle_digest",
    "digest_files",
    "read_header",
]

MAGIC = b"VDIF"
FORMAT = 1

_LARGEST_EXTENSION = 64 * 1024  # bytes


@dataclass(frozen=True)
class DiffHeader:
    """What a diff says about itself."""

    format: int
    """Version of the format."""
    base_sha256: str
    """Bundle digest of the bundle that it starts from, 64 hexadecimal digits."""
    result_sha256: str
    """Bundle digest of the bundle that it makes."""
    result_bytes: int
    """Bytes of all files of the result together."""


def read_header(stream: BinaryIO) -> DiffHeader:
    """Reads what a diff is for; nothing else of it is looked at.

    Args:
        stream: The diff, a file that can seek.

    Raises:
        MalformedDiffError: It is not a diff, or cut off.
        UnsupportedDiffError: It is of another version.
        DiffLimitError: It announces more than a bundle may hold.
        DiffStorageError: It cannot be read.
    """
    try:
        return _read_header(_reader(stream))
    except OSError as error:
        raise DiffStorageError(f"The diff cannot be read ({error.strerror}).") from error


def apply_diff(stream: BinaryIO, base: Path, result: Path) -> tuple[FileDigest, ...]:
    """Makes the new bundle.

    Args:
        stream: The diff, a file that can seek.
        base: The bundle that it starts from; it is only read.
        result: Folder for the new bundle, empty or not existing yet. After an error it holds an
            unfinished bundle. Nothing is fsync'd.

    Returns:
        All files of the result, in the order of their paths.

    Raises:
        MalformedDiffError: The bytes are not a diff, or a damaged one.
        UnsupportedDiffError: A newer agent is needed.
        DiffLimitError: The diff asks for more than an agent ever grants.
        BaseMismatchError: `base` is not what the diff starts from; nothing was written.
        ResultMismatchError: The result is not what the diff promises.
        DiffStorageError: A file cannot be read or written; its cause is the `OSError`.
    """
    try:
        reader = _reader(stream)
        header = _read_header(reader)
        plan_size = reader.varint(LARGEST_PLAN, "bytes of plan")
        unpacker = Unpacker(reader)
        literals = Unpacker(reader)
        known = open_base(base, header.base_sha256)
        plan = Plan(unpacker.take(plan_size), known)
        unpacker.finish()
        matrices = plan.check()
        if result.exists() and bundle_paths(result):
            raise DiffStorageError(f"{result} is not empty; name an empty folder.")
        changes = WeightChanges(reader, RowMap(matrices)) if matrices else None
        writer = _Writer(base, result, literals, changes)
        written = [writer.make(file, plan.pieces(index)) for index, file in enumerate(plan.files)]
        untouched = known.lengths.keys() - set(plan.removed) - {file.path for file in plan.files}
        written += [
            writer.make(FilePlan(path, path), iter([Piece(Kind.COPY, known.lengths[path])]))
            for path in sorted(untouched)
        ]
        literals.finish()
        if changes:
            changes.finish()
        elif reader.left:
            raise MalformedDiffError("The diff is longer than it says; download it again.")
    except BundleFileError as error:
        raise DiffStorageError(str(error)) from error
    except OSError as error:
        raise DiffStorageError(
            f"The diff cannot be applied: {error.filename or result}: {error.strerror}."
        ) from error
    _check_result(written, header)
    return tuple(sorted(written, key=lambda file: file.path.encode()))


def _reader(stream: BinaryIO) -> ByteReader:
    return ByteReader(stream, 0, stream.seek(0, io.SEEK_END))


def _read_header(reader: ByteReader) -> DiffHeader:
    if reader.left < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
        raise MalformedDiffError(
            "This is not a diff; name a file that `voice-converters diff` made."
        )
    version = reader.byte()
    if version != FORMAT:
        raise UnsupportedDiffError(
            f"The diff has format {version}, this agent reads format {FORMAT}; update the agent."
        )
    reader.take(reader.varint(_LARGEST_EXTENSION, "bytes of extension"))
    base, result = reader.take(32).hex(), reader.take(32).hex()
    return DiffHeader(version, base, result, reader.varint(LARGEST_BUNDLE, "bytes of result"))


def _check_result(written: list[FileDigest], header: DiffHeader) -> None:
    made = sum(file.length for file in written)
    if made != header.result_bytes or bundle_digest(written) != header.result_sha256:
        raise ResultMismatchError(
            "The diff made another bundle than it promises; throw it away and download it again."
        )


class _Writer:
    """Writes result files and hashes them on the way."""

    def __init__(
        self, base: Path, result: Path, literals: Unpacker, changes: WeightChanges | None
    ) -> None:
        self._base = base
        self._result = result
        self._literals = literals
        self._changes = changes
        self._digests: list[str] = []

    def make(self, file: FilePlan, pieces: Iterator[Piece]) -> FileDigest:
        """Writes one file."""
        path = self._result / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, length = hashlib.sha256(), 0
        with ExitStack() as stack:
            # Never over something that exists: a path of the plan cannot replace a file.
            target = stack.enter_context(path.open("xb"))
            source: BinaryIO = io.BytesIO()
            if file.source:
                source = stack.enter_context((self._base / file.source).open("rb"))
            for piece in pieces:
                for chunk in self._chunks(piece, source):
                    target.write(chunk)
                    digest.update(chunk)
                    length += len(chunk)
        self._digests.append(digest.hexdigest())
        return FileDigest(file.path, length, digest.hexdigest())

    def _chunks(self, piece: Piece, source: BinaryIO) -> Iterator[bytes]:
        if piece.kind is Kind.SEEK:
            source.seek(piece.amount, os.SEEK_CUR)
        elif piece.kind is Kind.DIGEST:
            source.seek(piece.moved, os.SEEK_CUR)
            yield self._digests[piece.amount].encode()
        else:
            for start in range(0, piece.made, CHUNK):
                yield self._chunk(piece, min(CHUNK, piece.made - start), source)

    def _chunk(self, piece: Piece, length: int, source: BinaryIO) -> bytes:
        if piece.kind in (Kind.REPLACE, Kind.INSERT):
            if piece.kind is Kind.REPLACE:
                source.seek(length, os.SEEK_CUR)
            return self._literals.take(length)
        content = source.read(length)
        if len(content) != length:
            raise BaseMismatchError("The base changed while the diff was applied; start again.")
        if piece.kind is Kind.COPY:
            return content
        assert self._changes is not None
        weights = np.frombuffer(content, np.int8).astype(np.int16)
        self._changes.apply(weights, hashed=piece.kind is Kind.HASHED)
        return weights.astype(np.int8).tobytes()
