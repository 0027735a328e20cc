"""A second SBE 1.0 decoder, for tests only: reads the XML on its own and shares no line with the codecs.

Rules, from the FIX Simple Binary Encoding specification 1.0: little-endian; message header first; the block is as long as
the header says, fields lie in it one after the other without padding; then each repeating group in schema order: its dimension
composite, then numInGroup entries of blockLength bytes. Fields newer than the message are absent (None). Character arrays
end at the first NUL. Sets are numbers whose bits are the choices.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

WIDTHS = {"char": 1} | {f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)}


class Oracle:
    def __init__(self, xml: Path | str) -> None:
        root = ET.fromstring(xml) if isinstance(xml, str) else ET.parse(xml).getroot()
        self.schema_id = int(root.attrib["id"])
        self.types: dict[str, tuple[str, int]] = {name: (name, 1) for name in WIDTHS}
        self.enums: dict[str, dict[str, int]] = {}
        self.composites: dict[str, list[tuple[str, str]]] = {}
        for node in root.find("types") or ():
            self._type(node)
        self.messages = {int(m.attrib["id"]): m for m in root if m.tag.endswith("}message")}

    def _type(self, node: ET.Element) -> None:
        name = node.attrib["name"]
        if node.tag == "type":
            self.types[name] = (node.attrib["primitiveType"], int(node.attrib.get("length", 1)))
        elif node.tag == "composite":
            self.composites[name] = [(t.attrib["name"], t.attrib["primitiveType"]) for t in node]
        else:
            self.types[name] = (node.attrib["encodingType"], 1)
            self.enums[name] = {v.attrib["name"]: int(v.text or "") for v in node}

    def layout(self, template_id: int) -> list[tuple[str, str, int, int, int]]:
        """(name, primitive, length, offset in the block, size) of every field, padding too."""
        return self._layout(self.messages[template_id])

    def _layout(self, node: ET.Element) -> list[tuple[str, str, int, int, int]]:
        found, offset = [], 0
        for field in node.findall("field"):
            primitive, length = self.types[field.attrib["type"]]
            size = WIDTHS[primitive] * length
            found.append((field.attrib["name"], primitive, length, offset, size))
            offset += size
        return found

    def decode(self, payload: bytes) -> tuple[str, dict[str, Any]]:
        """Name of the message and its fields, by the names of the schema."""
        header, at = self._composite("messageHeader", payload, 0)
        assert header["schemaId"] == self.schema_id
        message = self.messages[header["templateId"]]
        fields = self._block(message, payload[at : at + header["blockLength"]])
        at += header["blockLength"]
        for group in message.findall("group"):
            dimension, at = self._composite(group.attrib["dimensionType"], payload, at)
            entries = []
            for _ in range(dimension["numInGroup"]):
                entries.append(self._block(group, payload[at : at + dimension["blockLength"]]))
                at += dimension["blockLength"]
            fields[group.attrib["name"]] = entries
        assert at == len(payload)
        return message.attrib["name"], fields

    def _composite(self, name: str, payload: bytes, at: int) -> tuple[dict[str, int], int]:
        values = {}
        for field, primitive in self.composites[name]:
            values[field] = int.from_bytes(payload[at : at + WIDTHS[primitive]], "little")
            at += WIDTHS[primitive]
        return values, at

    def _block(self, node: ET.Element, block: bytes) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, primitive, length, offset, size in self._layout(node):
            raw = block[offset : offset + size]
            if len(raw) < size:
                values[name] = None
            elif primitive == "char":
                values[name] = raw.split(b"\0")[0].decode()
            elif length > 1:
                values[name] = raw
            else:
                values[name] = int.from_bytes(raw, "little", signed=primitive.startswith("int"))
        return values
