"""C headers: packed structs of the fixed blocks, constants, static asserts on every size and offset."""

from __future__ import annotations

from libchronicle.protocol.emit import NOTICE, SECTIONS, section
from libchronicle.protocol.schema import Enumeration, Field, MessageLayout, Schema, snake

C_TYPES = {
    "char": "char",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "uint64": "uint64_t",
}

PREAMBLE = """\
#ifndef CHR_{guard}_H
#define CHR_{guard}_H
/* {text}
   {notice} */

"""

HEADERS = """\
/* Every payload: this header, the fixed block, then the groups, each led by its own header. */
typedef struct __attribute__((packed)) {
    uint16_t block_length, template_id, schema_id, version;
} chr_sbe_header_t;

typedef struct __attribute__((packed)) {
    uint16_t block_length, num_in_group, num_groups, num_var_data_fields;
} chr_group_t;

/* One entry of the groups `bids` and `asks`: mantissas at the instrument's exponents. */
typedef struct __attribute__((packed)) {
    int64_t price, qty;
} chr_level_t;

_Static_assert(sizeof(chr_sbe_header_t) == 8, "sbe header");
_Static_assert(sizeof(chr_group_t) == 8, "group header");
_Static_assert(sizeof(chr_level_t) == 16, "level");
"""


def headers(schema: Schema) -> dict[str, str]:
    """File name -> text."""
    files = {"enums.h": _enums(schema)}
    for name, _, _, text in SECTIONS:
        files[f"{name}.h"] = _section(schema, name, text)
    files["messages.h"] = _umbrella(schema)
    return files


def constant(message: MessageLayout) -> str:
    return f"CHR_{snake(message.name).upper()}"


def struct(message: MessageLayout) -> str:
    return f"chr_{snake(message.name)}_t"


def enum_constants(enumeration: Enumeration) -> list[tuple[str, int]]:
    prefix = f"CHR_{snake(enumeration.name).upper()}"
    return [(f"{prefix}_{snake(name).upper()}", value) for name, value in enumeration.values]


def _preamble(guard: str, text: str) -> str:
    return PREAMBLE.format(guard=guard, text=text, notice=NOTICE)


def _enums(schema: Schema) -> str:
    lines = [_preamble("ENUMS", "Constants of the schema's enums and sets (sets as bit masks)."), "enum {\n"]
    for enumeration in schema.enumerations.values():
        lines.append(
            f"    /* {enumeration.name} ({C_TYPES[enumeration.primitive]}): {enumeration.description} */\n"
        )
        lines += [f"    {name} = {value},\n" for name, value in enum_constants(enumeration)]
    lines.append("};\n\n#endif\n")
    return "".join(lines)


def _section(schema: Schema, name: str, text: str) -> str:
    parts = [_preamble(name.upper(), text), "#include <stddef.h>\n#include <stdint.h>\n"]
    parts += [_struct(message) for message in section(schema, name)]
    parts.append("\n#endif\n")
    return "".join(parts)


def _struct(message: MessageLayout) -> str:
    name = struct(message)
    lines = [f"\n/* {message.name}: {message.description.rstrip('.')}."]
    if message.groups:
        lines.append(f" Groups: {', '.join(g.name for g in message.groups)}.")
    lines.append(" */\ntypedef struct __attribute__((packed)) {\n")
    lines += [_member(f) for f in message.fields]
    lines.append(f"}} {name};\n")
    lines.append(f'_Static_assert(sizeof({name}) == {message.block_length}, "{message.name}");\n')
    offsets = [f"offsetof({name}, {snake(f.name)}) == {f.offset}" for f in message.fields]
    lines.append(f'_Static_assert({" && ".join(offsets)}, "{message.name}");\n')
    return "".join(lines)


def _member(f: Field) -> str:
    array = f"[{f.length}]" if f.length > 1 else ""
    notes = [note for note in (f.enumeration, f.description) if note]
    comment = f" /* {': '.join(notes)} */" if notes else ""
    return f"    {C_TYPES[f.primitive]} {snake(f.name)}{array};{comment}\n"


def _umbrella(schema: Schema) -> str:
    parts = [
        _preamble("MESSAGES", "Chronicle's message ABI: templates, headers, structs of every fixed block.")
    ]
    parts.append('#include "enums.h"\n')
    parts += [f'#include "{name}.h"\n' for name, *_ in SECTIONS]
    parts.append(
        f"\nenum {{\n    CHR_SCHEMA_ID = {schema.schema_id},\n    CHR_SCHEMA_VERSION = {schema.version},\n"
    )
    parts.append("    /* templates: type_id of the frame */\n")
    parts += [f"    {constant(m)} = {m.template_id},\n" for m in schema.messages]
    parts.append("    /* length of the fixed block */\n")
    parts += [f"    {constant(m)}_BLOCK = {m.block_length},\n" for m in schema.messages]
    parts.append("};\n\n")
    parts.append(HEADERS)
    parts.append(_tables(schema))
    parts.append("\n#endif\n")
    return "".join(parts)


def _tables(schema: Schema) -> str:
    """Functions instead of tables: a switch compiles to one, and costs nothing where it is not used."""
    lines = _offsets(schema, "instrumentId", "instrument", "instrument id")
    lines += _offsets(schema, "rawSeq", "raw_seq", "seq of the raw record it was made of")
    lines.append("\n/* Length of the fixed block of a template; 0 = unknown template. */\n")
    lines.append("static inline uint16_t chr_block_length(uint16_t type_id) {\n    switch (type_id) {\n")
    lines += [f"    case {constant(m)}: return {constant(m)}_BLOCK;\n" for m in schema.messages]
    lines.append("    default: return 0;\n    }\n}\n")
    return "".join(lines)


def _offsets(schema: Schema, name: str, function: str, text: str) -> list[str]:
    """Where payloads hold the field of that name."""
    by_offset: dict[int, list[str]] = {}
    for m in schema.messages:
        for f in m.fields:
            if f.name == name:
                by_offset.setdefault(8 + f.offset, []).append(constant(m))
    lines = [
        f"\n/* Where a payload of this type holds its {text}; 0 = nowhere. */\n",
        f"static inline uint32_t chr_{function}_offset(uint16_t type_id) {{\n    switch (type_id) {{\n",
    ]
    for offset, names in sorted(by_offset.items()):
        lines += [f"    case {message}:\n" for message in names]
        lines.append(f"        return {offset};\n")
    return [*lines, "    default:\n        return 0;\n    }\n}\n"]
