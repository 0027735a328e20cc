"""Chronicle installed as docs/deployment.md says, on a machine that a real systemd boots. Needs root and a wheel in dist/."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from machine import Machine, missing

pytestmark = [pytest.mark.nspawn, pytest.mark.timeout(600)]

RUN = "/var/lib/chronicle"
HOT = "/dev/shm/chronicle"
CHRONICLE = "/opt/chronicle/.venv/bin/chronicle"
INTERPRETER = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
WAIT_S = 90.0
USERS = {
    "exchange": "chronicle-exchange",
    "feed@binance-spot": "chronicle-feed",
    "feed@binance-usdm": "chronicle-feed",
    "etl": "chronicle-archive",
    "router": "chronicle-router",
    "strategy@imbalance_taker": "chronicle-s-imbalance_taker",
    "strategy@quoter": "chronicle-s-quoter",
    "exporter": "chronicle-exporter",
}


def wait_until(done: Callable[[], bool], what: str, machine: Machine) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            log = machine.run("journalctl", "--no-pager", "-n", "60", "-u", "chronicle-*", check=False).stdout
            raise AssertionError(f"never: {what}\n{log}")
        time.sleep(0.3)


def install(machine: Machine, root: Path, wheel: Path) -> None:
    """What an operator does, but for the download of the dependencies: those of this interpreter are copied."""
    opt, etc = machine.root / "opt/chronicle", machine.root / "etc/chronicle"
    for place in (opt, etc):
        place.mkdir(parents=True)
    shutil.copy(wheel, opt)
    for name in ("ops", "docs"):
        if (root / name).is_dir():
            shutil.copytree(root / name, opt / name)
    shutil.copytree(
        root / "deploy/strategies", etc / "strategies", ignore=shutil.ignore_patterns("__pycache__")
    )
    toml = (root / "deploy/host.toml").read_text()
    for key, value in (("root", RUN), ("hot", HOT), ("dir", "/etc/chronicle/strategies")):
        toml, count = re.subn(rf'^{key} = "[^"]*"', f'{key} = "{value}"', toml, flags=re.MULTILINE)
        assert count == 1, key
    toml = toml.replace("segment_size = 134217728", "segment_size = 4194304")
    (etc / "host.toml").write_text(toml)
    for unit in (root / "systemd").iterdir():
        shutil.copy(unit, machine.root / "etc/systemd/system")
    machine.run(str(INTERPRETER), "-m", "venv", "/opt/chronicle/.venv")
    site = opt / ".venv/lib" / INTERPRETER.name / "site-packages"
    for line in (root / "deploy/requirements.lock").read_text().splitlines():
        copy_distribution(line.partition("==")[0], site)
    machine.run(
        "/opt/chronicle/.venv/bin/pip", "--disable-pip-version-check", "install", "--quiet", "--no-index",
        f"/opt/chronicle/{wheel.name}",
    )  # fmt: skip
    machine.run("systemctl", "daemon-reload")


def copy_distribution(name: str, site: Path) -> None:
    for file in distribution(name).files or []:
        source, target = Path(str(file.locate())), site / file
        if ".." not in file.parts and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


@pytest.fixture(scope="module")
def machine(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    reason = missing()
    wheels = sorted((project_root / "dist").glob("libchronicle-*.whl"), key=os.path.getmtime)
    if not reason and not INTERPRETER.is_relative_to("/usr"):
        reason = f"{INTERPRETER} is no interpreter of the system: units could not read it"
    if not reason and not wheels:
        reason = "no wheel in dist/; `make build` makes it"
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            machine = stack.enter_context(Machine(tmp_path_factory.mktemp("machine")))
            machine.boot()
        except AssertionError as error:
            pytest.skip(f"no machine boots here: {error}")
        install(machine, project_root, wheels[-1])
        machine.run("systemctl", "start", "chronicle.target")
        wait_until(lambda: set(machine.processes()) == set(USERS), "all units run", machine)
        yield machine


def test_the_target_brings_every_daemon_to_ready_as_its_own_user_with_hardening_on(machine: Machine) -> None:
    for unit, (_, user) in machine.processes().items():
        name = f"chronicle-{unit}.service"
        assert user == USERS[unit]
        assert machine.property(name, "Type") == "notify"  # so that active means: it said READY=1
        assert machine.property(name, "ActiveState") == "active"
        assert machine.property(name, "NoNewPrivileges") == "yes"
        assert machine.property(name, "CapabilityBoundingSet") == ""
        assert machine.property(name, "WatchdogUSec") == "10s"
    wait_until(
        lambda: all(row["healthy"] for row in json.loads(chronicle(machine, "status", "--json"))["daemons"]),
        "health",
        machine,
    )
    print(chronicle(machine, "status"))


def test_strategies_trade_although_nobody_may_touch_what_is_anothers(machine: Machine) -> None:
    def filled() -> bool:
        found = metrics(machine)
        return all(
            found.get(f'chronicle_strategy_fills_total{{daemon="strategy-{name}"}}', 0) > 0
            for name in ("quoter",)
        )

    wait_until(filled, "the quoter's orders are filled", machine)


def test_the_exporter_shows_every_queue_and_can_write_none(machine: Machine) -> None:
    found = metrics(machine)
    assert found['chronicle_queue_writer_up{queue="orders/queue/quoter/orders_out"}'] == 1.0
    pid, _ = machine.processes()["exporter"]
    mounts = machine.run("cat", f"/proc/{pid}/mounts").stdout
    assert re.search(r"^\S+ / \S+ ro,", mounts, re.MULTILINE)
    assert re.search(rf"^\S+ {RUN}/services \S+ rw,", mounts, re.MULTILINE)


def test_a_killed_daemon_is_restarted_and_a_hung_one_too(machine: Machine) -> None:
    before = machine.processes()
    for unit in ("feed@binance-spot", "router", "strategy@quoter", "exporter"):
        machine.run("kill", "-9", str(before[unit][0]))
    wait_until(lambda: machine.processes().keys() == before.keys(), "all run again", machine)
    after = machine.processes()
    assert all(
        after[unit][0] != before[unit][0] for unit in ("feed@binance-spot", "router", "strategy@quoter")
    )
    assert machine.property("chronicle-router.service", "NRestarts") == "1"
    machine.run("kill", "-STOP", str(after["exchange"][0]))  # the watchdog notices
    wait_until(
        lambda: machine.processes().get("exchange", after["exchange"]) != after["exchange"],
        "watchdog",
        machine,
    )
    wait_until(lambda: machine.processes().keys() == before.keys(), "all run again", machine)


def test_a_stranger_may_not_read_and_a_reader_may_not_damage_market_data(machine: Machine) -> None:
    segment = f"{HOT}/market_data/queue/binance-spot/000000000.q"
    size = machine.run("stat", "-c", "%s", segment).stdout
    for user, group in (
        ("nobody", "nogroup"),
        ("chronicle-s-quoter", "chronicle"),
        ("chronicle-router", "chronicle"),
    ):
        for damage in (
            f"truncate -s 0 {segment}",
            f"echo x >> {segment}",
            f"rm -f {segment}",
            f"mv {segment} {segment}.x",
        ):
            assert machine.run("sh", "-c", damage, user=user, group=group, check=False).returncode != 0, (
                user,
                damage,
            )
    assert (
        machine.run("head", "-c", "8", segment, user="nobody", group="nogroup", check=False).returncode != 0
    )
    assert machine.run("head", "-c", "8", segment, user="chronicle-s-quoter").returncode == 0
    assert machine.run("stat", "-c", "%s", segment).stdout == size


def test_a_strategy_cannot_read_anothers_orders_or_forge_them_or_lift_the_kill_word(machine: Machine) -> None:
    own, other = (f"{RUN}/orders/queue/{name}" for name in ("quoter", "imbalance_taker"))
    user = "chronicle-s-quoter"
    machine.run("head", "-c", "8", f"{own}/orders_in/000000000.q", user=user)
    for forbidden in (
        f"ls {other}",
        f"head -c 8 {other}/orders_out/000000000.q",
        f"echo x >> {own}/orders_in/000000000.q",
        f"mkdir {RUN}/orders/queue/forged",
        f"head -c 8 {RUN}/sessions/queue/router/000000000.q",
        f"ls {RUN}/sessions/queue/imbalance_taker",
        f"echo x >> {RUN}/control/kill.word",
        f"rm -f {RUN}/services/router.counters",
    ):
        done = machine.run("sh", "-c", forbidden, user=user, check=False)
        assert done.returncode != 0, forbidden
        assert "denied" in done.stderr or "not permitted" in done.stderr, done.stderr
    machine.run("head", "-c", "8", f"{RUN}/control/kill.word", user=user)


def test_an_operator_stops_trading_and_allows_it_again_without_being_root(machine: Machine) -> None:
    machine.run("useradd", "--groups", "chronicle,chronicle-operators", "--no-create-home", "alice")
    command = (CHRONICLE, "kill", "--config", "/etc/chronicle/host.toml", "--reason", "a test")
    machine.run(*command, "--all", user="alice", group="alice")
    wait_until(lambda: metrics(machine)["chronicle_killed"] == 1.0, "the kill word is seen", machine)
    wait_until(
        lambda: metrics(machine).get('chronicle_router_killed{daemon="router"}') == 1.0, "and obeyed", machine
    )
    refused = machine.run(*command, "--clear", user="chronicle-s-quoter", check=False)
    assert refused.returncode == 71, refused.stderr
    machine.run(*command, "quoter", user="alice", group="alice")
    machine.run(*command, "quoter", "--clear", user="alice", group="alice")
    machine.run(*command, "--clear", user="alice", group="alice")
    wait_until(lambda: all(row["healthy"] for row in status(machine)), "all healthy", machine)


def test_adding_a_strategy_is_adding_its_toml(machine: Machine) -> None:
    toml = "/etc/chronicle/strategies"
    machine.run(
        "sh",
        "-c",
        f'sed \'s/"quoter"/"second"/\' {toml}/quoter.toml > /tmp/second.toml && mv /tmp/second.toml {toml}/',
    )
    wait_until(lambda: "strategy@second" in machine.processes(), "the new strategy runs", machine)
    assert machine.processes()["strategy@second"][1] == "chronicle-s-second"
    wait_until(
        lambda: metrics(machine).get('chronicle_router_strategies{daemon="router"}') == 3.0,
        "it is attached",
        machine,
    )
    machine.run("rm", f"{toml}/second.toml")
    wait_until(lambda: "strategy@second" not in machine.processes(), "it is gone", machine)


def test_stopping_all_takes_less_than_five_seconds_and_loses_nothing(machine: Machine) -> None:
    names = [f"chronicle-{unit}.service" for unit in USERS]
    began = time.monotonic()
    machine.run("systemctl", "stop", "chronicle.target")
    wait_until(lambda: states(machine, names) == {"inactive"}, "all stopped", machine)
    took = time.monotonic() - began
    print(f"stopped in {took:.2f} s")
    results = {name: machine.property(name, "Result") for name in names}
    assert set(results.values()) == {"success"}, results  # not so after TimeoutStopSec=5s and a kill
    assert {row["state"] for row in status(machine)} == {"stopped"}  # an orderly end, by each one's own word
    chronicle(machine, "queue", "verify")
    before = next_seqs(machine)
    assert len(before) >= 8
    machine.run("systemctl", "start", "chronicle.target")
    wait_until(lambda: set(machine.processes()) == set(USERS), "all units run again", machine)
    feeds = [name for name in before if name.endswith(("binance-spot", "binance-usdm"))]
    wait_until(
        lambda: all(next_seqs(machine)[name] > before[name] for name in feeds), "data flows again", machine
    )
    after = next_seqs(machine)
    assert all(after[name] >= seq for name, seq in before.items())
    chronicle(machine, "queue", "verify")


def states(machine: Machine, names: list[str]) -> set[str]:
    return set(machine.run("systemctl", "is-active", *names, check=False).stdout.split())


def chronicle(machine: Machine, *arguments: str) -> str:
    return machine.run(
        CHRONICLE, *arguments, "--config", "/etc/chronicle/host.toml", check=arguments[0] != "status"
    ).stdout


def status(machine: Machine) -> list[dict[str, Any]]:
    return list(json.loads(chronicle(machine, "status", "--json"))["daemons"])


def next_seqs(machine: Machine) -> dict[str, int]:
    listed = json.loads(chronicle(machine, "queue", "ls", "--json"))
    return {row["queue"]: row["info"]["next_seq"] for row in listed}


def metrics(machine: Machine) -> dict[str, float]:
    """What the exporter serves now."""
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9464/metrics', timeout=10).read().decode())"
    text = machine.run(str(INTERPRETER), "-c", ask, check=False).stdout
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}
