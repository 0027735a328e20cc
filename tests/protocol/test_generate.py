"""The committed output is what the schema gives, and it compiles."""

import shutil
import subprocess
from pathlib import Path

import pytest

from libchronicle.protocol import generate

PROTOCOL = Path(generate.__file__).parent


def test_the_committed_files_are_what_the_schema_gives():
    assert generate.stale() == []


def test_a_changed_file_is_reported_stale(tmp_path):
    for name in generate.render(generate.load()):
        shutil.copy(PROTOCOL / name, tmp_path / name)
    assert generate.stale(tmp_path) == []
    (tmp_path / "enums.h").write_text("")
    (tmp_path / "trading.py").unlink()
    assert generate.stale(tmp_path) == ["enums.h", "trading.py"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
def test_the_headers_compile_and_every_size_and_offset_assert_holds(tmp_path):
    source = tmp_path / "check.c"
    source.write_text('#include "sbe.h"\nint main(void) { return chr_block_length(CHR_TRADE) == 0; }\n')
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", f"-I{PROTOCOL}"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(tmp_path / "check")], check=True)
    subprocess.run([str(tmp_path / "check")], check=True)
