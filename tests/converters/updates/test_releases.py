from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest

from agent.errors import MetadataError
from agent.update.diff_format import apply_diff
from agent.update.full_image import unpack_image
from agent.update.release import Release, TrialLimits
from converters.updates.errors import KeyFileError, PublishError
from converters.updates.keys import KeyRing, make_key
from converters.updates.releases import Terms, add_release, change_terms, releases_of
from converters.updates.repository import Repository
from tests.agent.update.handmade import read_files
from tests.system.updates.world import Operator, write_release

ROLE = "toy-any"


def offers(operator: Operator) -> dict[str, Release]:
    """What a board could read now, from the folder, by the last part of its path."""
    repository = Repository(operator.repository.folder)
    return {r.target.rpartition("/")[2]: r for r in releases_of(repository, ROLE)}


def content(operator: Operator, release: Release) -> bytes:
    target = operator.repository.roles[ROLE].signed.targets[release.target]
    return operator.repository.target_path(target).read_bytes()


def bundle(operator: Operator, number: int) -> Path:
    return operator.folder / "bundles" / f"toy-{number}"


def test_the_first_release_is_a_full_image(operator: Operator, tmp_path: Path) -> None:
    made = operator.add(1)
    assert [target.path for target in made] == ["toy/any/1.tar.xz"]
    (image,) = offers(operator).values()
    assert (image.format, image.release, image.base_sha256) == ("full", 1, "")
    (tmp_path / "result").mkdir()
    unpack_image(io.BytesIO(content(operator, image)), tmp_path / "result")
    assert read_files(tmp_path / "result") == read_files(bundle(operator, 1))


def test_diffs_from_the_last_three(operator: Operator) -> None:
    for number in range(1, 6):
        operator.add(number)
    # The release before is still on offer, for whoever the newest is not meant for.
    assert sorted(offers(operator)) == [
        "4-from-1.diff", "4-from-2.diff", "4-from-3.diff", "4.tar.xz",
        "5-from-2.diff", "5-from-3.diff", "5-from-4.diff", "5.tar.xz",
    ]  # fmt: skip


def test_from_three_releases_back(operator: Operator, tmp_path: Path) -> None:
    """A board that was off for three releases gets the newest one in a single step."""
    for number in range(1, 5):
        operator.add(number)
    known = offers(operator)
    diff, image = known["4-from-1.diff"], known["4.tar.xz"]
    made = tmp_path / "made"
    apply_diff(io.BytesIO(content(operator, diff)), bundle(operator, 1), made)
    assert read_files(made) == read_files(bundle(operator, 4))
    assert diff.result_sha256 == image.result_sha256
    assert diff.length < image.length / 4
    # Who is farther back than that takes the image.
    operator.add(5)
    assert "5-from-1.diff" not in offers(operator)
    assert offers(operator)["5.tar.xz"].format == "full"


def test_how_many_diffs_is_a_choice(operator: Operator) -> None:
    for number, diffs in ((1, 0), (2, 1), (3, 0), (4, 2)):
        operator.add(number, diffs=diffs)
    assert sorted(offers(operator)) == ["3.tar.xz", "4-from-2.diff", "4-from-3.diff", "4.tar.xz"]


def test_a_diff_that_is_no_smaller_is_not_offered(operator: Operator) -> None:
    operator.add(1)
    other = write_release(operator.folder / "other", 2)
    # Nothing of the old one is left, and the new one packs to nothing.
    (other / "encoder_slow.tflite").write_bytes(bytes(100_000))
    table = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").unlink()
    from agent.bundle.manifest import write_manifest

    write_manifest(other, name="toy", languages=["en"], release=2, model=table["model"])
    made = add_release(
        operator.repository, operator.ring, other, Terms(), new_role_key=lambda _: None
    )
    sizes = {target.path: target.length for target in made}
    assert all(length <= sizes["toy/any/2.tar.xz"] for length in sizes.values())


def test_what_is_signed(operator: Operator) -> None:
    limits = TrialLimits(word_error_permille=80, latency_permille=1200, memory_mb=99, seconds=60)
    operator.add(1, share_permille=250, trial=limits)
    (release,) = offers(operator).values()
    assert (release.model, release.hardware, release.share_permille) == ("toy", "any", 250)
    assert release.trial == limits
    assert release.result_bytes == sum(map(len, read_files(bundle(operator, 1)).values()))
    assert not release.halted


@pytest.mark.parametrize("number", [1, 2])
def test_a_release_that_is_not_new(number: int, operator: Operator) -> None:
    operator.add(2)
    before = operator.metadata()
    with pytest.raises(PublishError, match="2 is published already; export it with a higher"):
        add_release(
            operator.repository,
            operator.ring,
            write_release(operator.folder / "again", number),
            Terms(),
            new_role_key=lambda _: None,
        )
    assert operator.metadata() == before


def test_a_machine_that_the_bundle_is_not_for(operator: Operator) -> None:
    directory = write_release(operator.folder, 1)
    table = json.loads((directory / "manifest.json").read_text())
    table["hw"] = ["rpi4", "rpi5"]
    (directory / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(PublishError, match="names the machines rpi4, rpi5; publish with"):
        add_release(
            operator.repository,
            operator.ring,
            directory,
            Terms(hardware="any"),
            new_role_key=lambda role: make_key(operator.keys, role).public_key,
        )
    assert operator.repository.roles == {}


@pytest.mark.parametrize("mirror", ["http://insecure.example/", "https://no-slash.example"])
def test_terms_that_boards_would_refuse(mirror: str, operator: Operator) -> None:
    with pytest.raises(MetadataError, match="mirror"):
        operator.add(1, mirror=mirror)
    assert offers(Operator(operator.folder / "other", operator.config)) == {}


def test_a_mirror_is_for_the_full_image(operator: Operator) -> None:
    operator.add(1, mirror="https://models.example/voice/")
    operator.add(2, mirror="https://models.example/voice/")
    mirrors = {name: release.mirror for name, release in offers(operator).items()}
    assert mirrors == {
        "1.tar.xz": "https://models.example/voice/",
        "2.tar.xz": "https://models.example/voice/",
        "2-from-1.diff": "",
    }


def test_without_the_role_key_nothing_changes(operator: Operator, tmp_path: Path) -> None:
    operator.add(1)
    before = operator.metadata()
    (key,) = operator.keys.glob(f"{ROLE}-*.pem")
    key.rename(tmp_path / "in a drawer")
    repository = Repository(operator.repository.folder)
    with pytest.raises(KeyFileError, match="toy-any needs 1 of the keys"):
        add_release(
            repository,
            KeyRing([operator.keys]),
            write_release(operator.folder / "later", 2),
            Terms(),
            new_role_key=lambda _: None,
        )
    assert Repository(repository.folder).metadata_files() == before
    assert sorted(offers(operator)) == ["1.tar.xz"]
    # What is on offer is still there.
    assert all(content(operator, release) for release in offers(operator).values())


def test_halted_resumed_and_widened(operator: Operator) -> None:
    operator.add(1)
    operator.add(2, share_permille=100)

    def terms() -> set[tuple[int, bool, int]]:
        return {(r.release, r.halted, r.share_permille) for r in offers(operator).values()}

    before = {name: release.sha256 for name, release in offers(operator).items()}
    assert change_terms(operator.repository, operator.ring, ROLE, 2, halted=True) == 2
    assert terms() == {(1, False, 1000), (2, True, 100)}
    change_terms(operator.repository, operator.ring, ROLE, 2, halted=False, share_permille=500)
    assert terms() == {(1, False, 1000), (2, False, 500)}
    # The files themselves are the same.
    assert {name: release.sha256 for name, release in offers(operator).items()} == before
    with pytest.raises(PublishError, match="does not offer release 3"):
        change_terms(operator.repository, operator.ring, ROLE, 3, halted=True)
    with pytest.raises(PublishError, match="nobody-any does not offer"):
        change_terms(operator.repository, operator.ring, "nobody-any", 2, halted=True)


def test_a_staged_rollout_only_ever_grows(operator: Operator) -> None:
    """Each board decides by a hash: a tenth of a fleet is about a tenth, and stays in."""
    operator.add(1)
    (release,) = offers(operator).values()
    fleet = [f"board-{number}" for number in range(2000)]

    def takers(permille: int, number: int = 1) -> set[str]:
        staged = dataclasses.replace(release, share_permille=permille, release=number)
        return {board for board in fleet if staged.meant_for(board)}

    tenth, half = takers(100), takers(500)
    assert takers(0) == set()
    assert tenth < half < takers(1000) == set(fleet)
    # 2000 draws: the standard deviation of the count is 13 and 22.
    assert 150 < len(tenth) < 250
    assert 900 < len(half) < 1100
    # The next release begins with others.
    assert len(tenth & takers(100, number=2)) < len(tenth) / 2
    assert not any(dataclasses.replace(release, halted=True).meant_for(board) for board in fleet)


def test_nothing_is_kept_that_nobody_needs(operator: Operator) -> None:
    for number in range(1, 7):
        operator.add(number)
    folder = operator.repository.folder
    files = {path.name.partition(".")[2] for path in (folder / "targets").rglob("*.*")}
    assert files == set(offers(operator))
    assert sorted(path.name for path in (folder / "bundles" / ROLE).iterdir()) == ["4", "5", "6"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
