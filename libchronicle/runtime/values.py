"""One value of a configuration -> the type its key has; what is wrong with it, in words.

A value that is accepted can be used: numbers fit 64 bits and are no NaN, text is printable UTF-8. So no path holds a NUL, no
name a line break that would begin another key in a file rendered from it, and no comparison fails to end an interval.
"""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec

__all__ = ["BadValue", "allowed", "convert", "shown", "struct_of"]

INT64_MAX = (1 << 63) - 1


class BadValue(Exception):
    """What is wrong with a value, and what is allowed. Whoever knows file and key makes a ConfigError of it."""


def convert(kind: Any, value: Any, *, strict: bool = True) -> Any:
    """`value` as a `kind` that is no struct; `strict=False` takes numbers written as text. Raises BadValue."""
    if problem := _unusable(value):
        raise BadValue(problem)
    try:
        made = msgspec.convert(value, kind, strict=strict)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadValue(_problem(str(error), kind, value)) from None
    if made != made:
        raise BadValue(f"expected {allowed(kind)}, got {shown(value)}")
    return made


def _unusable(value: Any) -> str:
    """Why no key takes such a value; "" where some may. What a strategy's own `params` hold is its own business."""
    if isinstance(value, str):
        bad = next((c for c in value if c < " " or c == "\x7f" or "\ud800" <= c < "\ue000"), "")
        return f"holds {bad!r}, which is no printable character; the value is {shown(value)}" if bad else ""
    if isinstance(value, int) and not -INT64_MAX <= value <= INT64_MAX:
        return f"is a number of {value.bit_length()} bits; at most 63 are allowed"
    if isinstance(value, (list, tuple)):
        return next((problem for item in value if (problem := _unusable(item))), "")
    return ""


def _problem(reason: str, kind: Any, value: Any) -> str:
    if _literals(kind) is not None:
        return f"expected {allowed(kind)}, got {shown(value)}"
    items = [kind for kind in typing.get_args(kind) if _literals(kind) is not None]
    if items and typing.get_origin(kind) in (tuple, list) and isinstance(value, (list, tuple)):
        return f"expected a list of {allowed(items[0])}, got {shown(value)}"
    if "`str" in reason and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'write it in quotes: "{value}"'
    if described := _described(kind, reason):
        return f"expected {described}, got {shown(value)}"
    reason = reason.replace("`", "").replace(" | null", "").removesuffix(" - at $")
    return f"{reason[:1].lower()}{reason[1:]}; the value is {shown(value)}"


def _described(kind: Any, reason: str) -> str:
    """What the text within `kind` may be whose pattern the reason names; "" where there is none."""
    for one in typing.get_args(kind):
        if isinstance(one, msgspec.Meta):
            if one.pattern and (one.pattern in reason or repr(one.pattern) in reason):
                return one.description or ""
        elif found := _described(one, reason):
            return found
    return ""


def allowed(kind: Any) -> str:
    """What a key of this type takes."""
    choices = _literals(kind)
    if choices is not None:
        return " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
    if typing.get_origin(kind) is typing.Annotated:
        return allowed(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (tuple, list):
        return "a list"
    struct, is_mapping = struct_of(kind)
    if struct is not None or is_mapping:
        return "a table"
    return {str: "a string", int: "an integer", float: "a number", bool: "true or false"}.get(kind, "a value")


def struct_of(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """(struct, False) for a struct or an optional one, (struct, True) for dict[str, struct], else (None, False)."""
    if typing.get_origin(kind) is dict:
        struct, _ = struct_of(typing.get_args(kind)[1])
        return struct, struct is not None
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for option in typing.get_args(kind):
            struct, is_mapping = struct_of(option)
            if struct is not None:
                return struct, is_mapping
        return None, False
    return (kind, False) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else (None, False)


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) <= 60 else text[:57] + "..."


def _literals(kind: Any) -> tuple[Any, ...] | None:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else None
