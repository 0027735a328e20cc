"""The root and the five branches: who must act."""

from __future__ import annotations

from typing import Any, ClassVar


class ChronicleError(Exception):
    """Root of the tree. `fields` holds the facts the message was rendered from."""

    template: ClassVar[str] = "{reason}"
    fields: dict[str, Any]

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)
        super().__init__(self.template.format_map(_Lenient(fields)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)


class _Lenient(dict[str, Any]):
    """A missing fact must not hide the error it belongs to."""

    def __missing__(self, key: str) -> str:
        return "?"


def _rebuild(kind: type[ChronicleError], fields: dict[str, Any]) -> ChronicleError:
    return kind(**fields)


# ---------------------------------------------------------------- who must act


class MisuseError(ChronicleError):
    """The caller broke the contract."""


class CorruptError(ChronicleError):
    """Data on disk or on the wire is not what was written."""


class NotReadyError(ChronicleError):
    """A thing is not there yet."""


class EnvironmentFault(ChronicleError):
    """The host refuses: disk, permission, port, limits."""


class InternalError(ChronicleError):
    """A bug in Chronicle."""
