"""The committed output is what the schema gives, and it compiles."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libchronicle.protocol import generate

sys.path.insert(0, str(Path(__file__).parent))
from sbe_oracle import Oracle

PROTOCOL = Path(generate.__file__).parent
ORACLE = Oracle(PROTOCOL / "chronicle.xml")


def test_the_committed_files_are_what_the_schema_gives():
    assert generate.stale() == []


def test_a_changed_file_is_reported_stale(tmp_path):
    for name in generate.render(generate.load()):
        shutil.copy(PROTOCOL / name, tmp_path / name)
    assert generate.stale(tmp_path) == []
    (tmp_path / "enums.h").write_text("")
    (tmp_path / "trading.py").unlink()
    assert generate.stale(tmp_path) == ["enums.h", "trading.py"]


def compiled(tmp_path, body):
    """Output of a C program with that body, compiled without a warning."""
    source = tmp_path / "check.c"
    source.write_text(f'#include <stdio.h>\n#include "sbe.h"\nint main(void) {{\n{body}\nreturn 0; }}\n')
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", f"-I{PROTOCOL}"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(tmp_path / "check")], check=True)
    return subprocess.run(
        [str(tmp_path / "check")], check=True, capture_output=True, text=True
    ).stdout.split()


def c_name(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_c_structs_lie_as_the_schema_says(tmp_path):
    lines, expected = [], []
    for template_id, message in ORACLE.messages.items():
        name = c_name(message.attrib["name"])
        struct, layout = f"chr_{name.lower()}_t", ORACLE.layout(template_id)
        block = sum(size for *_, size in layout)
        constant = f"CHR_{name.upper()}"
        lines.append(
            f'printf("%d %d %d %zu\\n", {constant}, {constant}_BLOCK, chr_block_length({constant}), '
        )
        lines.append(f"sizeof({struct}));")
        expected += [template_id, block, block, block]
        for field, _, _, offset, size in layout:
            member = f"{struct}, {c_name(field).lower()}"
            lines.append(
                f'printf("%zu %zu\\n", offsetof({member}), sizeof((({struct} *)0)->{c_name(field).lower()}));'
            )
            expected += [offset, size]
            if field == "instrumentId":
                lines.append(f'printf("%u\\n", chr_instrument_offset({constant}));')
                expected.append(8 + offset)
    assert [int(word) for word in compiled(tmp_path, "\n".join(lines))] == expected


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_c_constants_are_those_of_the_schema(tmp_path):
    lines, expected = [], []
    sets = {name for name in ORACLE.enums if name.endswith("Flags")}
    for kind, values in ORACLE.enums.items():
        for name, value in values.items():
            constant = f"CHR_{c_name(kind)}_{c_name(name)}".upper()
            lines.append(f'printf("%d\\n", {constant});')
            expected.append(1 << value if kind in sets else value)
    assert [int(word) for word in compiled(tmp_path, "\n".join(lines))] == expected
