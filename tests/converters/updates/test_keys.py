from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from converters.updates.errors import KeyFileError
from converters.updates.keys import FIRST_KEYS, KeyRing, first_keys, key_files, make_key

SECRET = b"correct horse"


def ids(folder: Path, role: str) -> list[str]:
    """Full ids of the keys of a role."""
    ring = KeyRing([folder], lambda _: SECRET)
    return list(ring.first_public_keys()[role])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    first_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_the_keys_of_the_beginning(keys: Path) -> None:
    files = key_files([keys])
    counts = {role: sum(file.role == role for file in files) for role in FIRST_KEYS}
    assert counts == {"root": 3, "targets": 2, "snapshot": 1, "timestamp": 1}
    assert keys.stat().st_mode & 0o777 == 0o700
    for file in files:
        assert file.path.stat().st_mode & 0o777 == 0o600
        assert file.path.name == f"{file.role}-{file.short_id}.pem"
        assert file.short_id in {key_id[:8] for key_id in ids(keys, file.role)}


def test_a_key_signs_what_its_public_half_verifies(keys: Path) -> None:
    (signer,) = KeyRing([keys]).signers("timestamp", ids(keys, "timestamp"), 1)
    signer.public_key.verify_signature(signer.sign(b"content"), b"content")


def test_keys_on_several_sticks(keys: Path, tmp_path: Path) -> None:
    """Any two of three, wherever they are."""
    wanted = ids(keys, "root")
    sticks = []
    for number, file in enumerate(f for f in key_files([keys]) if f.role == "root"):
        stick = tmp_path / f"stick-{number}"
        stick.mkdir()
        file.path.rename(stick / file.path.name)
        sticks.append(stick)
    for pair in ([0, 1], [0, 2], [1, 2]):
        found = KeyRing([sticks[number] for number in pair]).signers("root", wanted, 2)
        assert len({signer.public_key.keyid for signer in found}) == 2
    with pytest.raises(KeyFileError, match=r"root needs 2 of the keys .* and 1 were found; name"):
        KeyRing(sticks[:1]).signers("root", wanted, 2)


def test_a_file_that_only_has_the_right_name(keys: Path) -> None:
    (wanted,) = ids(keys, "snapshot")
    (mine,) = (file for file in key_files([keys]) if file.role == "snapshot")
    other = make_key(keys, "snapshot").public_key.keyid
    path = keys / f"snapshot-{other[:8]}.pem"
    mine.path.unlink()
    path.rename(mine.path)
    with pytest.raises(KeyFileError, match="0 were found"):
        KeyRing([keys]).signers("snapshot", [wanted], 1)


def test_not_all_keys_of_the_beginning(keys: Path) -> None:
    next(file.path for file in key_files([keys]) if file.role == "root").unlink()
    with pytest.raises(KeyFileError, match="begins with 3 keys for root and 2 were found"):
        KeyRing([keys]).first_public_keys()


def test_encrypted_keys_are_those_that_stay_offline(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first_keys(folder, SECRET)
    encrypted = {
        file.role for file in key_files([folder]) if b"ENCRYPTED" in file.path.read_bytes()
    }
    assert encrypted == {"root", "targets"}
    online, offline = ids(folder, "timestamp"), ids(folder, "targets")

    def nobody(path: Path) -> bytes:
        raise AssertionError(f"{path} was asked for")

    # Daily work asks nobody; the offline keys are asked for once each.
    assert KeyRing([folder], nobody).signers("timestamp", online, 1)
    asked: list[Path] = []

    def ask(path: Path) -> bytes:
        asked.append(path)
        return SECRET

    ring = KeyRing([folder], ask)
    for _ in range(2):
        assert len(ring.signers("targets", offline, 2)) == 2
    assert len(asked) == 2
    with pytest.raises(KeyFileError, match="is the passphrase right"):
        KeyRing([folder], lambda _: b"wrong").signers("targets", offline, 2)
    with pytest.raises(KeyFileError, match="is encrypted; give its passphrase"):
        KeyRing([folder]).signers("targets", offline, 2)


def test_a_key_that_others_can_read(keys: Path) -> None:
    wanted = ids(keys, "snapshot")
    path = next(file.path for file in key_files([keys]) if file.role == "snapshot")
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(KeyFileError, match=f"run: chmod 600 {path}"):
            KeyRing([keys]).signers("snapshot", wanted, 1)


@pytest.mark.parametrize("kind", ["nothing", "garbage", "another kind of key"])
def test_a_file_that_is_no_key_of_ours(kind: str, keys: Path) -> None:
    wanted = ids(keys, "snapshot")
    path = next(file.path for file in key_files([keys]) if file.role == "snapshot")
    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes({"nothing": b"", "garbage": b"\0" * 999, "another kind of key": other}[kind])
    with pytest.raises(KeyFileError, match=r"cannot be opened|not an Ed25519 key"):
        KeyRing([keys]).signers("snapshot", wanted, 1)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFileError, match="choose another folder"):
        make_key(tmp_path / "file" / "keys", "root")
