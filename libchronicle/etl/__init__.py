"""The refinery: one raw queue of all symbols in, clean queues of one instrument and stream each out."""

from libchronicle.etl.groups import Group, group_of
from libchronicle.etl.opening import Policy, open_refinery
from libchronicle.etl.refinery import Refinery
from libchronicle.etl.symbols import SymbolTable, load_symbols

__all__ = ["Group", "Policy", "Refinery", "SymbolTable", "group_of", "load_symbols", "open_refinery"]
