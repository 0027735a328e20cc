"""A machine of its own: this system's files under an overlay, booted by a real systemd in systemd-nspawn.

Nothing it does reaches the host: writes go to a tmpfs that is gone afterwards, the network is its own loopback. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

BOOT_LIMIT_S = 60.0
COMMAND_LIMIT_S = 120.0
UPPER_SIZE = "3g"


def missing() -> str:
    """Why no machine can be had here; empty if one can."""
    if os.geteuid() != 0:
        return "needs root"
    for program, package in (
        ("systemd-nspawn", "systemd-container"),
        ("dbus-daemon", "dbus"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(program) is None:
            return f"no {program}; Debian package {package}"
    return ""


class Machine:
    """A context manager: inside the block files may be put below `root`, then it can be booted.

    /tmp, /run and /dev/shm are the machine's own; the rest is the host's, as it was.
    """

    def __init__(self, directory: Path) -> None:
        self._layers = directory / "layers"
        self.root = directory / "root"
        self.log = directory / "boot.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def prepare(self) -> None:
        """Mount the overlay: from now on files may be put below `root`."""
        self._layers.mkdir(parents=True)
        self.root.mkdir()
        _call("mount", "-t", "tmpfs", "-o", f"size={UPPER_SIZE}", "tmpfs", str(self._layers))
        for name in ("upper", "work"):
            (self._layers / name).mkdir()
        options = f"lowerdir=/,upperdir={self._layers}/upper,workdir={self._layers}/work"
        _call("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        (self.root / "etc/machine-id").unlink(missing_ok=True)

    def boot(self) -> None:
        """Up to basic.target. The machine is then asked by `run`."""
        command = [
            "systemd-nspawn",
            "-D",
            str(self.root),
            "--boot",
            "--register=no",
            "--keep-unit",
            "--private-network",
        ]
        command += ["--machine=chronicle", "--console=pipe", "systemd.unit=basic.target"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + BOOT_LIMIT_S
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"the machine does not boot:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.2)
        # nspawn lays a boot id of its own over the kernel's, which units with mounts of their own do not see
        self.run("umount", "/proc/sys/kernel/random/boot_id", check=False)

    def _is_up(self) -> bool:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        state = self.run("systemctl", "is-active", "basic.target", "dbus.socket", check=False)
        return state.stdout.split() == ["active", "active"]

    def run(
        self, *command: str, user: str = "", group: str = "chronicle", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A command inside, as root or as `user` with all its groups."""
        enter = [
            "nsenter",
            "--target",
            str(self._leader),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
            "--wdns=/",
        ]
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--"] if user else []
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*enter, *become, *command],
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            env=environment,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def property(self, unit: str, name: str) -> str:
        """One property of a unit, as `systemctl show` prints it."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def processes(self) -> dict[str, tuple[int, str]]:
        """(pid, user) of the main process of every running unit of ours; pids as the machine counts them."""
        listed = self.run(
            "systemctl", "list-units", "--plain", "--no-legend", "--state=running", "chronicle-*.service"
        ).stdout
        found = {}
        for unit in re.findall(r"^chronicle-(\S+)\.service", listed, re.MULTILINE):
            pid = self.property(f"chronicle-{unit}.service", "MainPID")
            user = self.run("stat", "-c", "%U", f"/proc/{pid}", check=False).stdout.strip()
            found[unit] = (int(pid), user)
        return found

    def __enter__(self) -> Self:
        try:
            self.prepare()
        except BaseException:
            self._unmount()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            if self._leader:
                with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                    self.run("systemctl", "exit", "--force", "--force", check=False)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(20)
        self._unmount()

    def _unmount(self) -> None:
        for place in (self.root, self._layers):
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, timeout=30)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
