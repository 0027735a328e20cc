"""The unit files, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

HARDENING = (
    "NoNewPrivileges",
    "ProtectSystem",
    "SystemCallFilter",
    "CapabilityBoundingSet",
    "RestrictAddressFamilies",
)


def units(root: Path) -> list[Path]:
    return sorted(
        [
            *(root / "systemd").glob("*.service"),
            *(root / "systemd").glob("*.target"),
            *(root / "systemd").glob("*.path"),
        ]
    )


def test_systemd_analyze_verify_has_nothing_to_say(project_root: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze; Debian package systemd")
    stand_in = tmp_path / "bin"
    stand_in.mkdir()
    paths = []
    for unit in units(project_root):
        text = unit.read_text().replace("/opt/chronicle/.venv/bin", str(stand_in))
        for line in text.splitlines():
            if line.startswith("ExecStart="):
                program = Path(line.removeprefix("ExecStart=").split()[0])
                program.write_text("#!/bin/sh\n")
                program.chmod(0o755)
        text = text.replace(
            "file:/opt/chronicle/docs/deployment.md", f"file:{project_root}/docs/deployment.md"
        )
        (tmp_path / unit.name).write_text(text)
        paths.append(tmp_path / (unit.name.replace("@.", "@alpha.") if "@" in unit.name else unit.name))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    "name", ["exchange", "feed@", "etl", "etl@", "router", "strategy@", "archive-tier", "exporter"]
)
def test_each_daemon_is_hardened_and_restarted(project_root: Path, name: str) -> None:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(project_root / "systemd" / f"chronicle-{name}.service")
    service = parser["Service"]
    for key in HARDENING:
        assert key in service, key
    assert service["Restart"] == "always"
    assert service["RemoveIPC"] == "no"
    assert service["User"] != "root"
    assert "python -m" not in service["ExecStart"]
