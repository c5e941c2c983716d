"""On every board we name, pip finds wheels for all that the agent needs, without compiling.

pip's `--platform` and `--python-version` choose wheels but not markers, so the markers of our own
requirements are evaluated here for the board in question and pip is given what remains.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]


@dataclass(frozen=True)
class Board:
    """A machine with an operating system, as pip sees it."""

    python: str
    machine: str
    glibc_minor: int
    """The board's C library is 2.<this>; wheels for older ones also run."""
    from_debian: tuple[tuple[str, str], ...] = ()
    """(name, version) of what the board takes from Debian packages instead of PyPI."""

    @property
    def environment(self) -> dict[str, str]:
        """The values of markers there."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "extra": "",
        }

    @property
    def platforms(self) -> list[str]:
        """The platform tags there, best first."""
        minors = range(self.glibc_minor, 16, -1)
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in minors]
        return [*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


# Debian 12 has Python 3.11 and glibc 2.36, Debian 13 has 3.13 and 2.41; Ubuntu 24.04 has 3.12 and
# 2.39. `make run` on a 32-bit board installs python3-numpy and python3-cffi of Debian 12.
_BOARDS = {
    "Debian 12, x86-64": Board("3.11", "x86_64", 36),
    "Ubuntu 24.04, x86-64": Board("3.12", "x86_64", 39),
    "Debian 13, x86-64": Board("3.13", "x86_64", 41),
    "Raspberry Pi OS 12, 64 bit": Board("3.11", "aarch64", 36),
    "Ubuntu 24.04, arm64": Board("3.12", "aarch64", 39),
    "Raspberry Pi OS 13, 64 bit": Board("3.13", "aarch64", 41),
    "Raspberry Pi OS 12, 32 bit": Board(
        "3.11", "armv7l", 36, from_debian=(("numpy", "1.24.2"), ("cffi", "1.15.1"))
    ),
}


def _requirements(board: Board, extras: tuple[str, ...] = ()) -> list[str]:
    lines = [*_PROJECT["dependencies"]]
    for extra in extras:
        lines += _PROJECT["optional-dependencies"][extra]
    wanted = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(board.environment):
            requirement.marker = None
            wanted.append(str(requirement))
    return wanted


def _stand_in(folder: Path, name: str, version: str) -> None:
    """An empty wheel that tells pip: Debian has already installed this."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def _resolve(
    board: Board, requirements: list[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    stand_ins = folder / "debian"
    stand_ins.mkdir()
    for name, version in board.from_debian:
        _stand_in(stand_ins, name, version)
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--ignore-installed", "--only-binary=:all:"]
    command += ["--target", str(folder / "target"), "--find-links", str(stand_ins)]
    command += ["--implementation", "cp", "--python-version", board.python]
    for platform in board.platforms:
        command += ["--platform", platform]
    return subprocess.run(
        [*command, *requirements], capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.parametrize("board", _BOARDS.values(), ids=_BOARDS.keys())
def test_the_agent_installs_from_wheels(board: Board, tmp_path: Path):
    done = _resolve(board, _requirements(board), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", _BOARDS.values(), ids=_BOARDS.keys())
def test_every_board_gets_exactly_one_runtime(board: Board):
    names = [Requirement(line).name for line in _requirements(board)]
    assert len([name for name in names if name in ("ai-edge-litert", "tflite-runtime")]) == 1


def test_a_32_bit_board_with_a_newer_python_gets_no_runtime():
    # Nothing exists for it; the agent says so by name when it starts.
    names = [Requirement(line).name for line in _requirements(Board("3.13", "armv7l", 41))]
    assert not {"ai-edge-litert", "tflite-runtime"} & set(names)


def test_the_older_runtime_installs_beside_the_newer(tmp_path: Path):
    board = _BOARDS["Raspberry Pi OS 12, 64 bit"]
    done = _resolve(board, _requirements(board, ("tflite-runtime",)), tmp_path)
    assert done.returncode == 0, done.stderr


def test_what_has_no_wheel_is_noticed(tmp_path: Path):
    # The check itself: pyalsaaudio exists only as source.
    board = _BOARDS["Debian 12, x86-64"]
    done = _resolve(board, _requirements(board, ("alsa",)), tmp_path)
    assert done.returncode != 0
    assert "pyalsaaudio" in done.stderr
