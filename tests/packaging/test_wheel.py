"""What is installed is what a user should get, and the tests run against it."""

from __future__ import annotations

import importlib
import os
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import libchronicle
import services

TOP_LEVEL = {"libchronicle", "services"}


@pytest.fixture(scope="module")
def wheel(project_root: Path) -> zipfile.ZipFile:
    """The wheel the venv was made from: `make` leaves it in dist/."""
    wheels = sorted((project_root / "dist").glob("libchronicle-*.whl"), key=os.path.getmtime)
    if not wheels:
        pytest.skip("no wheel in dist/; `make build` makes it")
    return zipfile.ZipFile(wheels[-1])


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == TOP_LEVEL
    assert not [name for name in wheel.namelist() if "test" in name.split("/")[0]]


def test_the_wheel_holds_every_module_stub_and_header(wheel: zipfile.ZipFile, project_root: Path) -> None:
    held = set(wheel.namelist())
    for package in TOP_LEVEL:
        for pattern in ("*.py", "*.pyi", "*.pxd", "*.h", "*.xml", "py.typed"):
            for path in (project_root / package).rglob(pattern):
                assert str(path.relative_to(project_root)) in held
    extensions = {path.with_suffix("") for path in (project_root / "libchronicle").rglob("*.pyx")}
    for extension in extensions:
        stem = str(extension.relative_to(project_root))
        assert any(name.startswith(stem + ".") and name.endswith(".so") for name in held), stem


def test_the_wheel_holds_the_core_in_c_and_no_other_sources_or_scraps(
    wheel: zipfile.ZipFile, project_root: Path
) -> None:
    scraps = (".pyx", ".o", ".pyc", ".orig")
    assert [name for name in wheel.namelist() if name.endswith(scraps)] == []
    core = {
        str(path.relative_to(project_root))
        for path in (project_root / "libchronicle" / "native").rglob("*.c")
    }
    assert {name for name in wheel.namelist() if name.endswith(".c")} == core


def test_it_is_private_and_its_daemons_are_console_scripts(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    assert "Classifier: Private :: Do Not Upload" in wheel.read(metadata).decode()
    (scripts,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(scripts).decode()
    for script in (
        "chronicle",
        "chronicle-feed",
        "chronicle-router",
        "chronicle-strategy-host",
        "chronicle-exchange",
    ):
        assert f"{script} = " in text
        target = text.split(f"{script} = ")[1].splitlines()[0]
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_these_tests_run_against_the_installed_packages(project_root: Path) -> None:
    origin = distribution("libchronicle").read_text("direct_url.json") or ""
    if '"editable": true' in origin:
        pytest.skip("this venv has an editable install; `make test` makes one of its own")
    for package in (libchronicle, services):
        assert package.__file__ is not None
        assert "site-packages" in Path(package.__file__).parts, package.__file__
