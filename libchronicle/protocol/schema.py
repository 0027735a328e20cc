"""The message schema as data: chronicle.xml read and checked, for the generator and its tests.

Only what Chronicle uses of SBE 1.0 is accepted; anything else is a `SchemaError`, so that the schema cannot
drift into a corner no codec covers. Rules checked here, because every codec relies on them:

- template ids are unique and below 0xFF00, which belongs to the queue;
- a field lies at a multiple of its own size, a block is a multiple of 8 bytes: payloads are read in place;
- every message, enum and set says what it is, and so does what is generated from it;
- fields of a later version stand at the end of their block.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

SBE = "{http://fixprotocol.io/2016/sbe}"
SCHEMA_FILE = Path(__file__).with_name("chronicle.xml")
HEADER_FIELDS = ("blockLength", "templateId", "schemaId", "version")
GROUP_FIELDS = ("blockLength", "numInGroup", "numGroups", "numVarDataFields")
FIRST_QUEUE_TYPE = 0xFF00

SIZES = {
    "char": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
}


class SchemaError(Exception):
    """The schema breaks a rule of this module; raised at generation time only."""


@dataclass(frozen=True)
class Enumeration:
    """An enum, or a set when `is_set`: then values are bit masks."""

    name: str
    primitive: str
    values: tuple[tuple[str, int], ...]
    is_set: bool
    description: str


@dataclass(frozen=True)
class Field:
    name: str
    primitive: str
    length: int
    offset: int
    since: int
    enumeration: str | None
    description: str

    @property
    def size(self) -> int:
        return SIZES[self.primitive] * self.length

    @property
    def is_padding(self) -> bool:
        return self.name.startswith("reserved")

    @property
    def is_text(self) -> bool:
        return self.primitive == "char"


@dataclass(frozen=True)
class Group:
    name: str
    fields: tuple[Field, ...]
    since: int

    @property
    def block_length(self) -> int:
        return sum(f.size for f in self.fields)


@dataclass(frozen=True)
class MessageLayout:
    name: str
    template_id: int
    fields: tuple[Field, ...]
    groups: tuple[Group, ...]
    since: int
    description: str

    @property
    def block_length(self) -> int:
        return sum(f.size for f in self.fields)

    def block_length_at(self, version: int) -> int:
        """Length of the block as writers of that schema version made it."""
        return sum(f.size for f in self.fields if f.since <= version)


@dataclass(frozen=True)
class Schema:
    schema_id: int
    version: int
    enumerations: dict[str, Enumeration] = field(default_factory=dict)
    messages: tuple[MessageLayout, ...] = ()


def snake(name: str) -> str:
    """`venueTs` -> `venue_ts`, `BestBidAsk` -> `best_bid_ask`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def load(path: Path = SCHEMA_FILE) -> Schema:
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Schema:
    root = ET.fromstring(text)
    if root.get("byteOrder", "littleEndian") != "littleEndian":
        raise SchemaError("byteOrder must be littleEndian")
    types, enumerations = _types(root)
    version = int(_attribute(root, "version"))
    messages = tuple(_message(node, types, enumerations) for node in root.findall(f"{SBE}message"))
    schema = Schema(int(_attribute(root, "id")), version, enumerations, messages)
    _check(schema)
    return schema


def _types(root: ET.Element) -> tuple[dict[str, tuple[str, int]], dict[str, Enumeration]]:
    types: dict[str, tuple[str, int]] = {name: (name, 1) for name in SIZES}
    enumerations: dict[str, Enumeration] = {}
    for node in root.findall("types/*"):
        name = _attribute(node, "name")
        if node.tag == "type":
            types[name] = (_attribute(node, "primitiveType"), int(node.get("length", "1")))
        elif node.tag == "composite":
            _check_composite(name, node)
        elif node.tag in ("enum", "set"):
            enumerations[name] = _enumeration(name, node)
        else:
            raise SchemaError(f"types/{node.tag} is not supported")
    return types, enumerations


def _enumeration(name: str, node: ET.Element) -> Enumeration:
    is_set = node.tag == "set"
    values = []
    for child in node.findall("choice" if is_set else "validValue"):
        value = int((child.text or "").strip())
        values.append((_attribute(child, "name"), 1 << value if is_set else value))
    if len({value for _, value in values}) != len(values):
        raise SchemaError(f"{name}: a value occurs twice")
    return Enumeration(
        name, _attribute(node, "encodingType"), tuple(values), is_set, _attribute(node, "description")
    )


def _check_composite(name: str, node: ET.Element) -> None:
    expected = {"messageHeader": HEADER_FIELDS, "groupSizeEncoding": GROUP_FIELDS}.get(name)
    found = tuple(child.get("name") for child in node)
    if found != expected or any(child.get("primitiveType") != "uint16" for child in node):
        raise SchemaError(f"composite {name}: only the two headers, of uint16 fields, are supported")


def _message(
    node: ET.Element, types: dict[str, tuple[str, int]], enumerations: dict[str, Enumeration]
) -> MessageLayout:
    groups = tuple(
        Group(_attribute(g, "name"), _fields(g, types, enumerations), int(g.get("sinceVersion", "0")))
        for g in node.findall("group")
    )
    if node.find("data") is not None:
        raise SchemaError(f"{node.get('name')}: variable data is not supported")
    return MessageLayout(
        name=_attribute(node, "name"),
        template_id=int(_attribute(node, "id")),
        fields=_fields(node, types, enumerations),
        groups=groups,
        since=int(node.get("sinceVersion", "0")),
        description=_attribute(node, "description"),
    )


def _fields(
    node: ET.Element, types: dict[str, tuple[str, int]], enumerations: dict[str, Enumeration]
) -> tuple[Field, ...]:
    fields: list[Field] = []
    offset = 0
    for child in node.findall("field"):
        type_name = _attribute(child, "type")
        enumeration = enumerations.get(type_name)
        if enumeration is not None:
            primitive, length = enumeration.primitive, 1
        elif type_name in types:
            primitive, length = types[type_name]
        else:
            raise SchemaError(f"{node.get('name')}.{child.get('name')}: unknown type {type_name}")
        fields.append(
            Field(
                name=_attribute(child, "name"),
                primitive=primitive,
                length=length,
                offset=offset,
                since=int(child.get("sinceVersion", "0")),
                enumeration=enumeration.name if enumeration else None,
                description=child.get("description", ""),
            )
        )
        offset += fields[-1].size
    return tuple(fields)


def _check(schema: Schema) -> None:
    ids = [m.template_id for m in schema.messages]
    if len(set(ids)) != len(ids):
        raise SchemaError("a template id occurs twice")
    for message in schema.messages:
        if not 0 < message.template_id < FIRST_QUEUE_TYPE:
            raise SchemaError(f"{message.name}: template id {message.template_id} is outside 1..0xFEFF")
        _check_block(message.name, message.fields, schema.version)
        for group in message.groups:
            _check_block(f"{message.name}.{group.name}", group.fields, schema.version)


def _check_block(name: str, fields: tuple[Field, ...], version: int) -> None:
    for f in fields:
        if f.offset % SIZES[f.primitive]:
            raise SchemaError(f"{name}.{f.name}: offset {f.offset} is not a multiple of its size")
    if sum(f.size for f in fields) % 8:
        raise SchemaError(f"{name}: the block is not a multiple of 8 bytes")
    since = [f.since for f in fields]
    if since != sorted(since):
        raise SchemaError(f"{name}: fields of a later version must stand at the end")
    if any(s > version for s in since):
        raise SchemaError(f"{name}: sinceVersion is above the version of the schema")
    names = [f.name for f in fields if not f.is_padding]
    if len(set(names)) != len(names):
        raise SchemaError(f"{name}: a field name occurs twice")


def _attribute(node: ET.Element, name: str) -> str:
    value = node.get(name)
    if value is None:
        raise SchemaError(f"<{node.tag}> lacks {name}")
    return value
