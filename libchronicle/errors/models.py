"""Models of machine learning."""

from __future__ import annotations

from libchronicle.errors.tree import CorruptError, MisuseError


class BadModel(CorruptError):
    """A model or its manifest that is not what was packaged."""

    template = "{file}: {reason}"
    file: str
    reason: str


class ModelMismatch(MisuseError):
    """A model, and something it was not made for: other features, another order, other shapes."""

    template = "{file}: {what} is {found}, the model was made for {wanted}"
    file: str
    what: str
    found: object
    wanted: object
