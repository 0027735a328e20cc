"""layout.pxd: the C headers as Cython sees them.

Members of one type share a line: the order of an extern struct's members does not matter. The headers that messages.h
includes are named too, so that a change of one rebuilds what uses it.
"""

from __future__ import annotations

from libchronicle.protocol.emit import NOTICE, SECTIONS
from libchronicle.protocol.emit.c import C_TYPES, constant, enum_constants, struct
from libchronicle.protocol.schema import MessageLayout, Schema, snake

WIDTH = 110

FIXED = """\
    ctypedef packed struct chr_sbe_header_t:
        uint16_t block_length, template_id, schema_id, version

    ctypedef packed struct chr_group_t:
        uint16_t block_length, num_in_group, num_groups, num_var_data_fields

    ctypedef packed struct chr_level_t:
        int64_t price, qty

    uint32_t chr_instrument_offset(uint16_t type_id) nogil
    uint32_t chr_raw_seq_offset(uint16_t type_id) nogil
    uint16_t chr_block_length(uint16_t type_id) nogil
"""


def declarations(schema: Schema) -> str:
    constants = ["CHR_SCHEMA_ID", "CHR_SCHEMA_VERSION"]
    for m in schema.messages:
        constants += [constant(m), f"{constant(m)}_BLOCK"]
    for enumeration in schema.enumerations.values():
        constants += [name for name, _ in enum_constants(enumeration)]
    parts = [
        f"# {NOTICE}\n",
        "from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t\n\n",
        *(f'cdef extern from "{name}.h":\n    pass\n\n' for name in ("enums", *(s[0] for s in SECTIONS))),
        'cdef extern from "messages.h" nogil:\n    enum:\n',
    ]
    parts += [f"        {line}\n" for line in _wrap(constants)]
    parts += ["\n", FIXED]
    parts += [_struct(m) for m in schema.messages]
    return "".join(parts)


def _struct(message: MessageLayout) -> str:
    by_type: dict[str, list[str]] = {}
    for f in message.fields:
        if f.length == 1:
            by_type.setdefault(C_TYPES[f.primitive], []).append(snake(f.name))
    lines = [f"\n    ctypedef packed struct {struct(message)}:\n"]
    lines += [
        f"        {C_TYPES[f.primitive]} {snake(f.name)}[{f.length}]\n"
        for f in message.fields
        if f.length > 1
    ]
    for c_type, names in by_type.items():
        lines += [f"        {c_type} {line}\n" for line in _wrap(names)]
    return "".join(lines)


def _wrap(names: list[str]) -> list[str]:
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + len(name) + 2 <= WIDTH - 20:
            lines[-1] += f", {name}"
        else:
            lines.append(name)
    return lines
