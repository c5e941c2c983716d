from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from converters.updates import metadata_files
from converters.updates.durable_file import replace_file
from converters.updates.errors import KeyFileError, RepositoryFolderError
from converters.updates.keys import KeyRing, key_files, make_key
from converters.updates.repository import LIFETIMES, Repository
from tests.system.updates.world import DAY, Operator

ROLE = "toy-any"


def trusted(folder: Path, root: bytes, now: dt.datetime) -> TrustedMetadataSet:
    """Reads a repository as a client would that starts from some root metadata."""
    metadata = folder / "metadata"
    known = TrustedMetadataSet(root, EnvelopeType.METADATA)
    known.reference_time = now
    while (path := metadata / f"{known.root.version + 1}.root.json").exists():
        known.update_root(path.read_bytes())
    known.update_timestamp((metadata / "timestamp.json").read_bytes())
    number = known.timestamp.snapshot_meta.version
    known.update_snapshot((metadata / f"{number}.snapshot.json").read_bytes())
    for role in ("targets", *(known.snapshot.meta.keys())):
        name = role.removesuffix(".json")
        if name in known:
            continue
        number = known.snapshot.meta[f"{name}.json"].version
        content = (metadata / f"{number}.{name}.json").read_bytes()
        known.update_delegated_targets(content, name, "root" if name == "targets" else "targets")
    return known


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "metadata").iterdir())


def test_a_new_repository(operator: Operator) -> None:
    folder = operator.repository.folder
    assert names(folder) == ["1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"]
    root = trusted(folder, operator.root, operator.now).root
    assert {role: root.roles[role].threshold for role in root.roles} == {
        "root": 2, "targets": 2, "snapshot": 1, "timestamp": 1,
    }  # fmt: skip
    assert {key.keytype for key in root.keys.values()} == {"ed25519"}
    assert root.consistent_snapshot


def test_lifetimes_and_time_of_issue(operator: Operator) -> None:
    operator.add(1)
    for role, lifetime in LIFETIMES.items():
        assert getattr(operator.repository, role).signed.expires == operator.now + lifetime
    assert operator.repository.roles[ROLE].signed.expires == operator.now + 30 * DAY
    issued = operator.repository.timestamp.signed.unrecognized_fields["issued"]
    assert issued == int(operator.now.timestamp())


def test_opened_again(operator: Operator) -> None:
    operator.add(1)
    again = Repository(operator.repository.folder, now=lambda: operator.now)
    assert again.metadata_files() == operator.repository.metadata_files()
    assert list(again.roles) == [ROLE]
    again.stamp(operator.ring)
    trusted(again.folder, operator.root, operator.now)


def test_a_second_repository_in_the_same_folder(operator: Operator) -> None:
    with pytest.raises(RepositoryFolderError, match="already holds a repository"):
        Repository.create(
            operator.repository.folder, operator.ring, operator.ring.first_public_keys()
        )


def test_no_repository(tmp_path: Path, operator: Operator) -> None:
    with pytest.raises(RepositoryFolderError, match="publish start"):
        Repository(tmp_path / "missing")
    (operator.repository.folder / "metadata" / "1.targets.json").write_bytes(b"{}")
    with pytest.raises(RepositoryFolderError, match="restore it from a copy"):
        Repository(operator.repository.folder)


def test_the_daily_signature(operator: Operator) -> None:
    before = names(operator.repository.folder)
    operator.now += DAY
    operator.repository.stamp(operator.ring)
    assert names(operator.repository.folder) == before
    known = trusted(operator.repository.folder, operator.root, operator.now)
    assert known.timestamp.expires == operator.now + 2 * DAY
    # Once half of the snapshot's week is over, it is signed again as well.
    operator.now += 3 * DAY
    operator.repository.stamp(operator.ring)
    known = trusted(operator.repository.folder, operator.root, operator.now)
    assert (known.snapshot.version, known.snapshot.expires) == (2, operator.now + 7 * DAY)


def test_the_daily_signature_needs_only_the_online_keys(operator: Operator, tmp_path: Path) -> None:
    online = tmp_path / "online"
    online.mkdir()
    for file in key_files([operator.keys]):
        if file.role in ("snapshot", "timestamp"):
            shutil.copy2(file.path, online / file.path.name)
    operator.repository.stamp(KeyRing([online]))
    operator.repository.commit(KeyRing([online]))
    with pytest.raises(KeyFileError, match="targets needs 2"):
        operator.repository.commit(KeyRing([online]), "targets")


def test_old_metadata_are_removed_and_roots_stay(operator: Operator) -> None:
    for number in range(1, 5):
        operator.add(number)
    operator.replace_key("timestamp")
    operator.replace_key("timestamp")
    kept = names(operator.repository.folder)
    assert {"1.root.json", "2.root.json", "3.root.json"} <= set(kept)
    for role in ("snapshot", ROLE):
        assert sum(name.endswith(f".{role}.json") for name in kept) == 2
    trusted(operator.repository.folder, operator.root, operator.now)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", ROLE])
def test_a_key_is_replaced(role: str, operator: Operator) -> None:
    operator.add(1)
    (old,) = [key for name, key in operator.repository.key_ids() if name == role]
    operator.replace_key(role)
    (new,) = [key for name, key in operator.repository.key_ids() if name == role]
    assert old != new
    known = trusted(operator.repository.folder, operator.root, operator.now)
    owner = known.targets if role == ROLE else known.root
    assert owner.get_delegated_role(role).keyids == [new]
    # Whoever stole the old one signs in vain.
    (thief,) = KeyRing([operator.keys]).signers(role, [old], 1)
    metadata: Metadata[Any] = operator.repository._metadata(role)
    metadata.sign(thief)
    with pytest.raises(UnsignedMetadataError):
        owner.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


@pytest.mark.parametrize("role", ["root", "targets"])
def test_each_key_of_several_is_replaced(role: str, operator: Operator) -> None:
    repository = operator.repository
    first = [key for name, key in repository.key_ids() if name == role]
    for old in first:
        new = make_key(operator.keys, role).public_key
        repository.commit(operator.ring, *repository.replace_key(role, old=old[:8], new=new))
        trusted(repository.folder, operator.root, operator.now)
    last = [key for name, key in repository.key_ids() if name == role]
    assert not set(first) & set(last)
    assert len(last) == len(first)


def test_two_of_three_root_keys_replace_the_third(operator: Operator) -> None:
    """The third one is lost, not stolen: nobody has it any more."""
    lost, *_ = [file for file in key_files([operator.keys]) if file.role == "root"]
    lost.path.unlink()
    new = make_key(operator.keys, "root").public_key
    changed = operator.repository.replace_key("root", old=lost.short_id, new=new)
    operator.repository.commit(KeyRing([operator.keys]), *changed)
    root = trusted(operator.repository.folder, operator.root, operator.now).root
    assert new.keyid in root.roles["root"].keyids


def test_one_of_three_root_keys_can_do_nothing(operator: Operator) -> None:
    kept = next(file for file in key_files([operator.keys]) if file.role == "root")
    for file in key_files([operator.keys]):
        if file.role == "root" and file != kept:
            file.path.unlink()
    before = operator.repository.metadata_files()
    with pytest.raises(KeyFileError, match="root needs 2"):
        operator.repository.commit(KeyRing([operator.keys]), "root")
    assert Repository(operator.repository.folder).metadata_files() == before


def test_keys_that_cannot_be_taken_away(operator: Operator) -> None:
    operator.add(1)
    repository = operator.repository
    for role in ("timestamp", ROLE):
        with pytest.raises(RepositoryFolderError, match="add another one first"):
            Repository(repository.folder).replace_key(role, old=repository.only_key(role), new=None)
    with pytest.raises(RepositoryFolderError, match="has no key abc"):
        repository.replace_key("timestamp", old="abc", new=None)
    with pytest.raises(RepositoryFolderError, match="There is no role 'nobody'"):
        repository.replace_key("nobody", old=None, new=None)
    with pytest.raises(RepositoryFolderError, match="root has 3 keys; say which with --old"):
        repository.only_key("root")
    with pytest.raises(RepositoryFolderError, match="has 0 such keys"):
        repository.only_key("root", "xyz")


def test_a_role_speaks_for_its_own_boards_only(operator: Operator) -> None:
    operator.add(1)
    operator.add(1, name="other", hardware="rpi4")
    known = trusted(operator.repository.folder, operator.root, operator.now)
    assert known.targets.delegations is not None
    roles = known.targets.delegations.roles
    assert roles is not None
    assert set(roles) == {ROLE, "other-rpi4"}
    assert roles[ROLE].is_delegated_path("toy/any/7.tar.xz")
    for path in ("toy/rpi4/7.tar.xz", "other/any/7.tar.xz", "toy/any/more/7.tar.xz", "7.tar.xz"):
        assert not roles[ROLE].is_delegated_path(path)
    keys = {name: role.keyids for name, role in roles.items()}
    assert len(keys[ROLE]) == 1
    assert keys[ROLE] != keys["other-rpi4"]


def test_what_runs_out_soon(operator: Operator) -> None:
    operator.add(1)
    assert operator.repository.expiring() == []
    operator.now += 21 * DAY
    assert [role for role, _ in operator.repository.expiring()] == [ROLE]
    operator.now += 300 * DAY
    assert [role for role, _ in operator.repository.expiring()] == [ROLE, "targets", "root"]
    operator.repository.commit(operator.ring, "root", "targets", ROLE)
    assert operator.repository.expiring() == []
    assert operator.repository.expiring(within=40 * DAY)[0][0] == ROLE


def test_cut_off_anywhere_the_repository_is_the_old_or_the_new_one(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power fails before the n-th file of a commit is written."""
    operator.add(1)
    write = replace_file
    seen = set()
    for cut in range(7):
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(operator.repository.folder, folder)
        written = 0

        def until_cut(path: Path, content: bytes, cut: int = cut) -> None:
            nonlocal written
            if written == cut:
                raise SystemExit
            written += 1
            write(path, content)

        monkeypatch.setattr(metadata_files, "replace_file", until_cut)
        copy = Repository(folder, now=lambda: operator.now)
        with contextlib.suppress(SystemExit):
            copy.commit(operator.ring, "root", "targets", ROLE)
        monkeypatch.undo()
        known = trusted(folder, operator.root, operator.now)
        seen.add(known.timestamp.version)
        # And whoever opens it again goes on from there.
        again = Repository(folder, now=lambda: operator.now)
        again.commit(operator.ring, "root", "targets", ROLE)
        trusted(folder, operator.root, operator.now)
    first = operator.repository.timestamp.signed.version
    assert seen == {first, first + 1}
