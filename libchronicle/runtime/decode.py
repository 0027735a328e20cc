"""TOML text -> frozen structs, with errors a person can act on.

msgspec names a dict's values `[...]` in its error paths and stops at the first problem without saying what
would have been right. This walk goes through the same struct types and says the file, the full dotted key,
and what is allowed there.
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from libchronicle.errors import ConfigError

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
        raise ConfigError(file=file, key=prefix or "file", reason=f"expected a table, got {_shown(tables)}")
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in tables:
        if key not in fields:
            allowed = ", ".join(sorted(fields))
            raise ConfigError(file=file, key=_dotted(prefix, key), reason=f"unknown key; allowed: {allowed}")
    for key, field in fields.items():
        if field.required and key not in tables:
            raise ConfigError(
                file=file, key=_dotted(prefix, key), reason=f"missing; expected {_allowed(field.type)}"
            )
    values = {
        fields[key].name: _value(fields[key].type, value, file, _dotted(prefix, key))
        for key, value in tables.items()
    }
    return kind(**values)


def _value(kind: Any, value: Any, file: str, key: str) -> Any:
    struct, is_mapping = _struct_of(kind)
    if struct is None:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason = _problem(str(error), kind, value)
            raise ConfigError(file=file, key=key, reason=reason) from None
    if not is_mapping:
        return decode(struct, value, file, key)
    if not isinstance(value, Mapping):
        raise ConfigError(file=file, key=key, reason=f"expected a table of tables, got {_shown(value)}")
    return {name: decode(struct, table, file, _dotted(key, name)) for name, table in value.items()}


def _struct_of(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """(struct, False) for a struct or an optional one, (struct, True) for dict[str, struct], else (None,
    False).
    """
    if typing.get_origin(kind) is dict:
        struct, _ = _struct_of(typing.get_args(kind)[1])
        return struct, struct is not None
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for option in typing.get_args(kind):
            struct, is_mapping = _struct_of(option)
            if struct is not None:
                return struct, is_mapping
        return None, False
    return (kind, False) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else (None, False)


def _problem(reason: str, kind: Any, value: Any) -> str:
    if _literals(kind) is not None:
        return f"expected {_allowed(kind)}, got {_shown(value)}"
    items = [kind for kind in typing.get_args(kind) if _literals(kind) is not None]
    if items and typing.get_origin(kind) in (tuple, list) and isinstance(value, (list, tuple)):
        return f"expected a list of {_allowed(items[0])}, got {_shown(value)}"
    if "`str" in reason and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'write it in quotes: "{value}"'
    if "matching regex" in reason:
        return f'expected a decimal number in quotes, e.g. "0.25", got {_shown(value)}'
    reason = reason.replace("`", "").replace(" | null", "").removesuffix(" - at $")
    return f"{reason[:1].lower()}{reason[1:]}; the value is {_shown(value)}"


def _allowed(kind: Any) -> str:
    choices = _literals(kind)
    if choices is not None:
        return " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
    if typing.get_origin(kind) is typing.Annotated:
        return _allowed(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (tuple, list):
        return "a list"
    struct, is_mapping = _struct_of(kind)
    if struct is not None or is_mapping:
        return "a table"
    return {str: "a string", int: "an integer", float: "a number", bool: "true or false"}.get(kind, "a value")


def _literals(kind: Any) -> tuple[Any, ...] | None:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
