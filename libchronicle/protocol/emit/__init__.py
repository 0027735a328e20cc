"""Writers of the generated files: C headers, the Cython declarations, the Python codecs.

Messages are split by purpose, so that no generated file is longer than a person would read.
"""

from __future__ import annotations

from libchronicle.protocol.schema import MessageLayout, Schema

SECTIONS = (
    ("market", 1, 19, "Market data: instruments, books, trades, order-level events, gaps, venue status."),
    ("trading", 20, 39, "Trading: orders, reports, positions, accounts, risk, operator commands."),
    ("session", 40, 59, "Session: what a strategy host or router dispatched, in order."),
)
NOTICE = "Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit."


def section(schema: Schema, name: str) -> list[MessageLayout]:
    """Messages of one section, in the order of the schema."""
    for section_name, first, last, _ in SECTIONS:
        if section_name == name:
            return [m for m in schema.messages if first <= m.template_id <= last]
    raise KeyError(name)
