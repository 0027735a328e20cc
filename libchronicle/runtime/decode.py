"""TOML text -> frozen structs, with errors a person can act on.

msgspec names a dict's values `[...]` in its error paths and stops at the first problem without saying what
would have been right. This walk goes through the same struct types and says the file, the full dotted key,
and what is allowed there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.values import BadValue, allowed, convert, shown, struct_of

__all__ = ["decode", "read_toml", "to_builtins", "write_toml"]

T = TypeVar("T", bound=msgspec.Struct)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError when it is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(file=str(path), key="file", reason="no such file") from None
    except OSError as error:
        raise ConfigError(file=str(path), key="file", reason=f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            file=str(path), key="file", reason=f"is not UTF-8 text (byte {error.start})"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file=str(path), key="syntax", reason=str(error)) from None


def decode(kind: type[T], tables: Mapping[str, Any], file: str, prefix: str = "") -> T:
    """Make a `kind` of `tables`. Raises ConfigError naming `file`, the dotted key and what is allowed."""
    if not isinstance(tables, Mapping):
        raise ConfigError(file=file, key=prefix or "file", reason=f"expected a table, got {shown(tables)}")
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in tables:
        if key not in fields:
            known = ", ".join(sorted(fields))
            raise ConfigError(file=file, key=_dotted(prefix, key), reason=f"unknown key; allowed: {known}")
    for key, field in fields.items():
        if field.required and key not in tables:
            raise ConfigError(
                file=file, key=_dotted(prefix, key), reason=f"missing; expected {allowed(field.type)}"
            )
    values = {
        fields[key].name: _value(fields[key].type, value, file, _dotted(prefix, key))
        for key, value in tables.items()
    }
    return kind(**values)


def _value(kind: Any, value: Any, file: str, key: str) -> Any:
    struct, is_mapping = struct_of(kind)
    if struct is None:
        try:
            return convert(kind, value)
        except BadValue as error:
            raise ConfigError(file=file, key=key, reason=str(error)) from None
    if not is_mapping:
        return decode(struct, value, file, key)
    if not isinstance(value, Mapping):
        raise ConfigError(file=file, key=key, reason=f"expected a table of tables, got {shown(value)}")
    return {name: decode(struct, table, file, _dotted(key, name)) for name, table in value.items()}


def _dotted(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


# ---------------------------------------------------------------- structs -> TOML


def to_builtins(config: msgspec.Struct) -> dict[str, Any]:
    """Plain tables again, without keys that are None (TOML has no null)."""
    tables: dict[str, Any] = _without_none(msgspec.to_builtins(config))
    return tables


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def write_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """TOML text of plain tables; `read_toml` of it gives them back."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_literal(value)}" for key, value in plain.items()]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{prefix}.{_key(key)}" if prefix else _key(key)
            text += f"\n[{name}]\n" + write_toml(value, name)
    return text


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else _literal(key)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, str):  # a JSON string is a TOML basic string, but for DEL
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    return repr(value)
