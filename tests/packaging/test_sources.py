"""Rules of the source tree that no other check sees."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("agent", "converters", "firmware_models")
_LONGEST = 400  # lines

# Modules that become a bag for everything.
_BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "models"}

# What a tree must not carry away from the machine it was written on.
_LOCAL = {
    "a home directory": re.compile(r"/(?:home|Users)/\w+/|(?<![\w.])/root/"),
    "a local package index": re.compile(
        r"file:///|--find-links[ =]/|(?<![\w.])/opt/(?!voice-agent)"
    ),
    "a path out of the tree": re.compile(r"""["'`( ]\.\./"""),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}
_TEXT = {".py", ".toml", ".md", ".json", ".txt", ".service", ".conf", ".sh", ".cfg", ".tsv", ""}


def _tracked() -> list[Path]:
    """The files of the tree, from git where there is one."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        names = git.stdout.splitlines()
        return [_ROOT / name for name in names if (_ROOT / name).is_file()]
    folders = (*_PACKAGES, "tests", "systemd")
    return [path for folder in folders for path in (_ROOT / folder).rglob("*") if path.is_file()]


def _sources(*folders: str) -> list[Path]:
    roots = [_ROOT / folder for folder in folders]
    return [
        path
        for path in _tracked()
        if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)
    ]


def _imports(source: Path) -> set[str]:
    """The top-level names of all packages a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(), source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


def _relative(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def test_the_agent_never_imports_the_converters():
    offenders = {
        _relative(path): sorted(bad)
        for path in _sources("agent", "firmware_models")
        if (bad := _imports(path) & {"converters", "torch", "scipy", "flatbuffers"})
    }
    assert not offenders


def test_what_is_tested_without_torch_never_imports_it():
    offenders = [
        _relative(path)
        for path in _sources("tests/agent", "tests/system")
        if "torch" in _imports(path)
    ]
    assert not offenders


def test_product_code_never_imports_tests():
    assert not [_relative(path) for path in _sources(*_PACKAGES) if "tests" in _imports(path)]


def test_no_file_is_too_long_to_read():
    sources = [*_sources(*_PACKAGES, "tests"), _ROOT / "Makefile"]
    lengths = {_relative(path): len(path.read_text().splitlines()) for path in sources}
    assert not {path: lines for path, lines in lengths.items() if lines > _LONGEST}


def test_every_folder_of_code_is_a_package():
    # setuptools packs only these; a missing __init__.py works in the tree and fails when installed.
    folders = {path.parent for path in _sources(*_PACKAGES)}
    assert not [_relative(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_no_module_is_a_bag_for_everything():
    assert not [_relative(path) for path in _sources(*_PACKAGES) if path.stem in _BAGS]


def test_every_module_says_what_it_is_for():
    sources = [path for path in _sources(*_PACKAGES) if path.read_text().strip()]
    assert not [
        _relative(path)
        for path in sources
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]


@pytest.mark.parametrize("what", _LOCAL)
def test_the_tree_carries_nothing_of_the_machine_it_was_written_on(what: str):
    offenders = [
        f"{_relative(path)}: {match.group()!r}"
        for path in _tracked()
        if path.suffix in _TEXT
        and path != Path(__file__)
        # Hostile paths are what some tests are about.
        and not (what == "a path out of the tree" and path.is_relative_to(_ROOT / "tests"))
        for match in [_LOCAL[what].search(path.read_text(errors="replace"))]
        if match
    ]
    assert not offenders


def test_large_files_are_only_models_and_sound():
    # A clone stays small; what is larger than this is data and belongs to a cache.
    large = [
        _relative(path)
        for path in _tracked()
        if path.stat().st_size > 512 * 1024 and path.suffix not in (".tflite", ".npz", ".flac")
    ]
    assert not large
