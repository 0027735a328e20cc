"""From file to class: what goes wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.errors import StrategyFileError
from libchronicle.strategy import Strategy
from libchronicle.strategy.loader import load_strategy_class


def test_the_examples_load_and_import_nothing_but_the_contract(project_root: Path) -> None:
    for name, kind in (("imbalance_taker", "ImbalanceTaker"), ("quoter", "Quoter")):
        file = project_root / "deploy" / "strategies" / f"{name}.py"
        assert issubclass(load_strategy_class(str(file), kind), Strategy)
        lines = file.read_text().splitlines()
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        assert {line.split()[1] for line in imports} == {"__future__", "libchronicle.strategy"}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1\n", "has no strategy 'Alpha'; there are: none"),
        ("from libchronicle.strategy import Strategy\nclass Beta(Strategy): ...\n", "there are: Beta"),
        ("class Alpha: ...\n", "has no strategy 'Alpha'"),
        ("raise RuntimeError('at import')\n", "RuntimeError: at import"),
        ("def broken(:\n", "SyntaxError"),
    ],
)
def test_a_file_without_the_strategy_says_what_it_has(tmp_path: Path, source: str, says: str) -> None:
    file = tmp_path / "some.py"
    file.write_text(source)
    with pytest.raises(StrategyFileError, match=says):
        load_strategy_class(str(file), "Alpha")
