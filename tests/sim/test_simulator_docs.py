"""docs/simulator.md names what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import libchronicle.sim as sim
from libchronicle.sim.matcher import FillRule


def test_the_table_of_rules_is_the_one_in_code(project_root: Path) -> None:
    text = (project_root / "docs" / "simulator.md").read_text()
    told = re.findall(r"^\| `([A-Z]+)` \|", text, re.MULTILINE)
    assert told == [rule.name for rule in FillRule if rule]


def test_every_model_that_it_names_is_there(project_root: Path) -> None:
    text = (project_root / "docs" / "simulator.md").read_text()
    named = set(re.findall(r"\b(\w+(?:Queue|Latency|Chances))\b", text))
    assert len(named) >= 11
    for name in named:
        assert hasattr(sim, name), name


def test_every_name_of_the_package_is_there() -> None:
    for name in sim.__all__:
        assert getattr(sim, name) is not None


def test_the_example_of_a_queue_model_works(project_root: Path) -> None:
    text = (project_root / "docs" / "simulator.md").read_text()
    example = re.search(r"```python\n(from libchronicle.sim import UserQueue.*?)```", text, re.DOTALL)
    assert example is not None
    scope: dict = {}
    exec(compile(example[1], "docs/simulator.md", "exec"), scope)
    assert issubclass(scope["Impatient"], sim.UserQueue)
