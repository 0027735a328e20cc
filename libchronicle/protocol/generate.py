"""`python -m libchronicle.protocol.generate [--check]`: chronicle.xml -> headers, Cython, Python codecs.

The output is committed, so that a build needs no generator; a test holds it against the schema.
"""

from __future__ import annotations

import sys
from pathlib import Path

from libchronicle.protocol.emit import c, cython, python
from libchronicle.protocol.schema import Schema, load

HERE = Path(__file__).parent


def render(schema: Schema) -> dict[str, str]:
    """File name, relative to this package -> text."""
    return {**c.headers(schema), "layout.pxd": cython.declarations(schema), **python.modules(schema)}


def stale(directory: Path = HERE) -> list[str]:
    """Names of the generated files whose text is not what the schema gives."""
    files = render(load())
    return [name for name, text in files.items() if _read(directory / name) != text]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str]) -> int:
    outdated = stale()
    if arguments == ["--check"]:
        for name in outdated:
            sys.stderr.write(
                f"{name}: not what chronicle.xml gives; run python -m libchronicle.protocol.generate\n"
            )
        return 1 if outdated else 0
    files = render(load())
    for name in outdated:
        (HERE / name).write_text(files[name], encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
