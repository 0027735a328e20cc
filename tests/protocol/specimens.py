"""One specimen of every message, every field filled with a value of its own; the golden fixtures are their bytes.

`python tests/protocol/specimens.py` writes the fixtures of the schema's present version that do not exist yet. What exists is
never rewritten: it is what writers of that version left on disk.
"""

from __future__ import annotations

from pathlib import Path

from libchronicle.protocol import TEMPLATES, SbeMessage, enums
from libchronicle.protocol.schema import SIZES, Field, MessageLayout, Schema, load, snake

GOLDEN = Path(__file__).with_name("golden")


def specimen(message: MessageLayout, version: int) -> SbeMessage:
    """As a writer of that schema version would have filled it."""
    fields = [f for f in message.fields if not f.is_padding and f.since <= version]
    values = {snake(f.name): value(f, number) for number, f in enumerate(fields, start=1)}
    for group in message.groups:
        if group.since <= version:
            values[snake(group.name)] = [(number, -number * 7) for number in range(1, 3)]
    return TEMPLATES[message.template_id](**values)


def value(f: Field, number: int) -> object:
    if f.enumeration:
        kind = getattr(enums, f.enumeration)
        return list(kind)[number % len(kind)]
    if f.is_text:
        return f"{f.name}-{'é' * f.length}".encode()[: f.length - 1].decode("utf-8", "ignore")
    if f.length > 1:
        return bytes((number + i) % 256 for i in range(f.length))
    bits = 8 * SIZES[f.primitive]
    pattern = int.from_bytes(bytes((number * 29 + i * 71) % 256 for i in range(bits // 8)), "little")
    return pattern - (1 << bits) if f.primitive.startswith("int") and pattern >> bits - 1 else pattern


def fixture(message: MessageLayout, version: int) -> Path:
    return GOLDEN / f"v{version}" / f"{message.template_id:03d}_{snake(message.name)}.bin"


def write_missing(schema: Schema) -> None:
    for message in schema.messages:
        path = fixture(message, schema.version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(specimen(message, schema.version).encode())


if __name__ == "__main__":
    write_missing(load())
