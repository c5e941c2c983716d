"""The wheel holds everything and works away from the tree.

It is built from a copy of the sources, installed into an environment of its own that sees the
dependencies of the running one, and driven from an empty folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_PACKAGES = ("agent", "converters", "firmware_models")
_COMMANDS = ("run", "listen", "link", "transcribe", "wake", "bench", "config")

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without touching the tree or the network."""
    copy = tmp_path_factory.mktemp("sources")
    for package in _PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / package, copy / package, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_ROOT / file, copy)
    out = tmp_path_factory.mktemp("wheel")
    done = _run(
        *_PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, copy, cwd=out
    )
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel; its own dependencies come from ours."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    done = _run(
        *_PIP, "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # A plain path, so that an editable install of the tree in our environment is not followed.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "away"
    folder.mkdir()
    return folder


def test_everything_in_the_packages_is_in_the_wheel(wheel: Path):
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = [
        str(path.relative_to(_ROOT))
        for package in _PACKAGES
        for path in (_ROOT / package).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and str(path.relative_to(_ROOT)) not in inside
    ]
    assert not missing


def test_nothing_but_the_packages_is_in_the_wheel(wheel: Path):
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {*_PACKAGES, f"voice_agent-{_PROJECT['version']}.dist-info"}


def test_the_models_are_in_the_wheel(wheel: Path):
    inside = zipfile.ZipFile(wheel).namelist()
    bundle = "firmware_models/command_en"
    assert {f"{bundle}/manifest.json", f"{bundle}/tokens.txt", f"{bundle}/CARD.md"} <= set(inside)
    assert [name for name in inside if re.fullmatch(rf"{bundle}/wake/\w+\.tflite", name)]
    assert [name for name in inside if re.fullmatch(rf"{bundle}/selftest/.+\.flac", name)]


def test_the_wheel_is_for_every_board(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_licence_is_in_the_wheel(wheel: Path):
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/LICENSE")]


def test_help_lists_every_command(installed: Path, away: Path):
    done = _run(installed / "voice-agent", "--help", cwd=away)
    assert done.returncode == 0, done.stderr
    for command in _COMMANDS:
        assert re.search(rf"^\s+{command}\b", done.stdout, re.MULTILINE), command


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_help(installed: Path, away: Path, command: str):
    done = _run(installed / "voice-agent", command, "--help", cwd=away)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: voice-agent {command}")


def test_the_installed_code_is_what_runs(installed: Path, away: Path):
    program = "import agent, converters, firmware_models as f; print(agent.__file__, f.__file__)"
    done = _run(installed / "python", "-c", program, cwd=away)
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(installed.parent)) for path in done.stdout.split())


def test_the_version_is_the_distributions(installed: Path, away: Path):
    done = _run(installed / "voice-agent", "--version", cwd=away)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["voice-agent", _PROJECT["version"]]


def test_the_installed_models_recognise_a_recording(
    installed: Path, away: Path, demo_recording: Path
):
    # A copy: not even the recording comes from the tree.
    shutil.copy(demo_recording, away / "demo.flac")
    done = _run(installed / "voice-agent", "transcribe", "--json", "demo.flac", cwd=away)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["wake"]["score"] > 0
    assert result["text"]


def test_the_converters_say_what_they_need(installed: Path, away: Path):
    # Listing the commands works without torch.
    done = _run(installed / "voice-converters", "--help", cwd=away)
    assert done.returncode == 0, done.stderr
    assert "synthesise" in done.stdout
