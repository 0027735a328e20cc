"""The public face of each package is what is meant to be public: no more, no less."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import libchronicle
from libchronicle.errors import ChronicleError

PACKAGES = sorted(
    module.name
    for module in pkgutil.iter_modules(libchronicle.__path__)
    if module.ispkg and module.name != "cli"
)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_names_its_face_and_everything_named_is_there(name: str) -> None:
    package = importlib.import_module(f"libchronicle.{name}")
    face = getattr(package, "__all__", None)
    assert face is not None, f"libchronicle.{name} has no __all__"
    assert list(face) == sorted(set(face), key=face.index), "a name twice"
    for public in face:
        assert hasattr(package, public), public


@pytest.mark.parametrize("name", PACKAGES)
def test_whatever_is_public_says_what_it_is(name: str) -> None:
    package = importlib.import_module(f"libchronicle.{name}")
    assert package.__doc__
    for public in package.__all__:
        thing = getattr(package, public)
        if isinstance(thing, type) and issubclass(thing, ChronicleError):
            assert "{" in thing.template, f"{public} does not say what happened"
        elif callable(thing):
            assert thing.__doc__, f"libchronicle.{name}.{public} has no docstring"
