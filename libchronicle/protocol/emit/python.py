"""The Python codecs: one typed class per message, enums, and the table of templates."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from libchronicle.protocol.emit import NOTICE, SECTIONS, section
from libchronicle.protocol.schema import Enumeration, Field, Group, MessageLayout, Schema, snake

CODES = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
}
FUTURE = "from __future__ import annotations\n\n"
INDENT = "    "


def modules(schema: Schema) -> dict[str, str]:
    """File name -> text."""
    files = {"enums.py": _enums(schema)}
    for name, _, _, text in SECTIONS:
        files[f"{name}.py"] = _section(schema, name, text)
    files["messages.py"] = _umbrella(schema)
    return files


def _doc(text: str) -> str:
    return f'"""{text}\n\n{NOTICE}\n"""\n\n'


def _enums(schema: Schema) -> str:
    names = sorted(schema.enumerations)
    parts = [
        _doc("Enums and sets of the schema, every value as on the wire."),
        FUTURE,
        "from enum import IntEnum, IntFlag\n\n",
        f"SCHEMA_ID = {schema.schema_id}\nSCHEMA_VERSION = {schema.version}\n\n",
        _all(["SCHEMA_ID", "SCHEMA_VERSION", *names]),
    ]
    for name, enumeration in schema.enumerations.items():
        base = "IntFlag" if enumeration.is_set else "IntEnum"
        parts.append(f"\n\nclass {name}({base}):\n{_docstring(enumeration.description)}")
        parts += [f"{INDENT}{snake(value).upper()} = {number}\n" for value, number in enumeration.values]
    return "".join(parts)


def _all(names: list[str]) -> str:
    lines = "".join(f'{INDENT}"{name}",\n' for name in names)
    return f"__all__ = [\n{lines}]\n"


def _section(schema: Schema, name: str, text: str) -> str:
    messages = section(schema, name)
    used = sorted({f.enumeration for m in messages for f in m.fields if f.enumeration})
    imports = ["from typing import ClassVar\n\n"]
    if any(m.groups for m in messages):
        imports.append("import msgspec\n\n")
    imports.append("from libchronicle.protocol.codec import " + _codec_names(messages) + "\n")
    imports.append(_import("libchronicle.protocol.enums", used))
    parts = [_doc(text), FUTURE, *imports, "\n", _all(sorted(m.name for m in messages))]
    parts += [_class(m, schema) for m in messages]
    return "".join(parts)


def _codec_names(messages: list[MessageLayout]) -> str:
    names = ["Layout", "SbeMessage"]
    if any(m.groups for m in messages):
        names = ["GroupLayout", "Layout", "Levels", "SbeMessage"]
    return ", ".join(names)


def _import(module: str, names: list[str]) -> str:
    if not names:
        return ""
    line = f"from {module} import {', '.join(names)}\n"
    if len(line) <= 110:
        return line
    return f"from {module} import (\n" + "".join(f"{INDENT}{name},\n" for name in names) + ")\n"


def _class(message: MessageLayout, schema: Schema) -> str:
    lines = [f"\n\nclass {message.name}(SbeMessage, kw_only=True, gc=False):\n"]
    lines.append(_docstring(message.description))
    lines.append(f"{INDENT}TEMPLATE_ID: ClassVar[int] = {message.template_id}\n")
    lines.append(_layout(message))
    lines.append("\n")
    lines += [_attribute(f, schema) for f in message.fields if not f.is_padding]
    lines += [
        f"{INDENT}{snake(g.name)}: Levels = msgspec.field(default_factory=list)\n" for g in message.groups
    ]
    return "".join(lines)


def _docstring(text: str) -> str:
    """On one line, or wrapped with the quotes on a line of their own."""
    line = f'{INDENT}"""{text.rstrip(".")}."""\n\n'
    if len(line) <= 112:
        return line
    first, *rest = textwrap.wrap(text.rstrip(".") + ".", 103)
    body = "".join(f"{INDENT}{more}\n" for more in rest)
    return f'{INDENT}"""{first}\n{body}{INDENT}"""\n\n'


def _attribute(f: Field, schema: Schema) -> str:
    name = snake(f.name)
    note = f"  # {f.description}" if f.description else ""
    line = f"{INDENT}{name}: {_annotation(f, schema)}"
    if len(line + note) > 110:
        return f"{INDENT}# {f.description}\n{line}\n"
    return f"{line}{note}\n"


def _annotation(f: Field, schema: Schema) -> str:
    if f.enumeration:
        return f"{f.enumeration}{_default(schema.enumerations[f.enumeration])}"
    if f.is_text:
        return 'str = ""'
    if f.length > 1:
        return f"bytes = bytes({f.length})"
    return "int = 0"


def _default(enumeration: Enumeration) -> str:
    """An enum without a zero has no harmless value: the caller must say which one is meant."""
    if enumeration.is_set:
        return f" = {enumeration.name}(0)"
    zero = [name for name, value in enumeration.values if value == 0]
    return f" = {enumeration.name}.{zero[0].upper()}" if zero else ""


def _layout(message: MessageLayout) -> str:
    arguments = [
        f'"{message.name}"',
        str(message.template_id),
        f'"{_format(message.fields)}"',
        _names([snake(f.name) for f in message.fields if not f.is_padding]),
    ]
    enums = {snake(f.name): f.enumeration for f in message.fields if f.enumeration}
    texts = {snake(f.name): f.length for f in message.fields if f.is_text}
    raw = {
        snake(f.name): f.length for f in message.fields if not f.is_text and f.length > 1 and not f.is_padding
    }
    for keyword, table in (("enums", enums), ("texts", texts), ("blobs", raw)):
        if table:
            arguments.append(_table(keyword, table))
    if message.groups:
        groups = "".join(f"{INDENT * 3}{_group(g)},\n" for g in message.groups)
        arguments.append(f"groups=(\n{groups}{INDENT * 2})")
    body = "".join(f"{INDENT * 2}{argument},\n" for argument in arguments)
    return f"{INDENT}LAYOUT: ClassVar[Layout] = Layout(\n{body}{INDENT})\n"


def _names(names: list[str]) -> str:
    """One string of names, broken into adjacent literals where it is longer than a line."""
    joined = " ".join(names)
    lines = [joined] if len(joined) <= 99 else textwrap.wrap(joined, 94)
    literals = [f'"{line} "' for line in lines[:-1]] + [f'"{lines[-1]}"']
    return f"\n{INDENT * 2}".join(literals)


def _table(keyword: str, table: Mapping[str, object]) -> str:
    items = [f'"{name}": {value}' for name, value in table.items()]
    line = f"{keyword}={{{', '.join(items)}}}"
    if len(line) <= 101:
        return line
    body = "".join(f"{INDENT * 3}{item},\n" for item in items)
    return f"{keyword}={{\n{body}{INDENT * 2}}}"


def _group(group: Group) -> str:
    return f'GroupLayout("{snake(group.name)}", "{_format(group.fields)}", since={group.since})'


def _format(fields: tuple[Field, ...]) -> str:
    """struct codes, standard sizes: `4Q`-like runs are joined, padding is `x`."""
    runs: list[tuple[str, int]] = []
    for f in fields:
        if f.is_padding:
            runs.append(("x", f.size))
        elif f.length > 1 or f.is_text:
            runs.append(("s", f.size))
        elif runs and runs[-1][0] == CODES[f.primitive]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((CODES[f.primitive], 1))
    return "".join(f"{count if count > 1 or code == 's' else ''}{code}" for code, count in runs)


def _umbrella(schema: Schema) -> str:
    parts = [_doc("Every message of the schema, and tables to find them by."), FUTURE]
    parts.append("from typing import Final\n\n")
    parts.append("from libchronicle.protocol.codec import SbeMessage\n")
    names = []
    for name, *_ in sorted(SECTIONS):
        messages = sorted(m.name for m in section(schema, name))
        names += messages
        parts.append(_import(f"libchronicle.protocol.{name}", messages))
    parts += ["\n", _all(["INSTRUMENT_OFFSETS", "TEMPLATES", *sorted(names)]), "\n"]
    parts.append("# type_id of a frame -> class\nTEMPLATES: Final[dict[int, type[SbeMessage]]] = {\n")
    parts += [f"{INDENT}{m.template_id}: {m.name},\n" for m in schema.messages]
    parts.append(
        "}\n\n# type_id -> where its payload holds the instrument id; types that name none are absent\n"
    )
    parts.append("INSTRUMENT_OFFSETS: Final[dict[int, int]] = {\n")
    for m in schema.messages:
        parts += [f"{INDENT}{m.template_id}: {8 + f.offset},\n" for f in m.fields if f.name == "instrumentId"]
    parts.append("}\n")
    return "".join(parts)
