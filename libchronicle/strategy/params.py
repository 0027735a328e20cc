"""A strategy's parameters: the [params] table of its TOML, changeable while it runs.

A change comes between two callbacks, whole or not at all, and keeps the type the TOML gave: the session journal and the
strategy can rely on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from libchronicle.errors import BadParameter, UnknownParameter

__all__ = ["Params", "recorded", "str_of"]

_FIELD = 128  # bytes of a Parameter record's value


class Params(Mapping[str, Any]):
    """Read as `params.threshold` or `params["threshold"]`."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise UnknownParameter(name=name, known=", ".join(sorted(self._values)) or "none") from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def parse(self, name: str, text: str) -> dict[str, Any]:
        """The changes a command asks for; nothing is changed yet. Raises UnknownParameter, BadParameter.

        `name` "" takes several at once: `text` is then a JSON object.
        """
        if name:
            return {name: self._convert(name, text)}
        try:
            many = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            raise BadParameter(name="(several)", value=text, wanted="JSON object") from None
        return {key: self._convert(key, str_of(value)) for key, value in many.items()}

    def apply(self, changes: Mapping[str, Any]) -> None:
        self._values.update(changes)

    def _convert(self, name: str, text: str) -> Any:
        present = self[name]
        wanted = type(present)
        if wanted is str:
            if _is_torn(text):
                raise BadParameter(name=name, value=text, wanted="text in UTF-8")
            return text
        if wanted is bool and text in ("true", "false"):
            return text == "true"
        try:
            value = msgspec.json.decode(text, type=wanted)
        except msgspec.DecodeError:
            raise BadParameter(name=name, value=text, wanted=wanted.__name__) from None
        return value


def _is_torn(text: str) -> bool:
    """Has it bytes of a command line that are no UTF-8? It could be neither recorded nor reported."""
    return any("\ud800" <= one <= "\udfff" for one in text)


def str_of(value: Any) -> str:
    """A parameter's value as commands carry it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def recorded(value: Any) -> str:
    """A parameter's value as the session journal has it: as much of it as its field holds."""
    return str_of(value).encode()[:_FIELD].decode(errors="ignore")
