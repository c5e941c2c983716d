"""What a thief of keys signs: metadata of the operator, changed and signed with chosen keys."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from tuf.api.metadata import Metadata, MetaFile
from tuf.api.serialization.json import JSONSerializer

from converters.updates.keys import KeyRing
from tests.system.updates.world import Operator

_SERIALIZER = JSONSerializer(compact=True)


class Thief:
    """Has some of the operator's keys, and the broker.

    Args:
        operator: Whose.
        *roles: Whose keys were stolen; for roles with more than one key, the first.
    """

    def __init__(self, operator: Operator, *roles: str) -> None:
        self._operator = operator
        self._keys = {
            role: KeyRing([operator.keys]).signers(role, self._ids(role), 1)[:1] for role in roles
        }

    def sign(self, role: str, metadata: Metadata[Any]) -> bytes:
        """Metadata with the stolen signatures of a role, and no others."""
        metadata.signatures.clear()
        for signer in self._keys[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes(_SERIALIZER)

    def copy_of(self, role: str) -> Metadata[Any]:
        return copy.deepcopy(self._operator.repository._metadata(role))

    def new_timestamp(self, version: int, **fields: int) -> bytes:
        """A timestamp of another version, with other fields of its own."""
        timestamp = self.copy_of("timestamp")
        timestamp.signed.version = version
        timestamp.signed.unrecognized_fields |= fields
        return self.sign("timestamp", timestamp)

    def chain(self, role: str, changed: Metadata[Any]) -> dict[str, bytes]:
        """A changed role with the snapshot and the timestamp that make it count.

        Needs the keys of snapshot and timestamp; the role is signed with what was stolen of it.
        """
        changed.signed.version += 1
        content = self.sign(role, changed)
        snapshot, timestamp = self.copy_of("snapshot"), self.copy_of("timestamp")
        snapshot.signed.version += 1
        snapshot.signed.meta[f"{role}.json"] = _meta(changed.signed.version, content)
        snapshot_content = self.sign("snapshot", snapshot)
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta = _meta(snapshot.signed.version, snapshot_content)
        return {
            f"{changed.signed.version}.{role}.json": content,
            f"{snapshot.signed.version}.snapshot.json": snapshot_content,
            "timestamp.json": self.sign("timestamp", timestamp),
        }

    def _ids(self, role: str) -> list[str]:
        return [key_id for name, key_id in self._operator.repository.key_ids() if name == role]


def _meta(version: int, content: bytes) -> MetaFile:
    return MetaFile(version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})
