"""From a strategy's file to its object."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from libchronicle.errors import StrategyFileError
from libchronicle.strategy.base import Strategy

__all__ = ["load_strategy_class"]


def load_strategy_class(file: str, class_name: str) -> type[Strategy]:
    """The class `class_name` of `file`, a subclass of Strategy. Raises StrategyFileError."""
    path = Path(file)
    name = f"chronicle_strategy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StrategyFileError(file=file, reason="is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file that exits ends nobody else
        del sys.modules[name]
        raise StrategyFileError(file=file, reason=f"{type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        there = sorted(n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, Strategy))
        there = [one for one in there if one != "Strategy"]
        raise StrategyFileError(
            file=file, reason=f"has no strategy {class_name!r}; there are: {', '.join(there) or 'none'}"
        )
    return found
