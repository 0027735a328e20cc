"""Single values of the configuration, overridden from the environment.

    CHRONICLE_BUS_ROOT=/var/lib/chronicle            [bus] root
    CHRONICLE_EXPORTER_PORT=9500                     [exporter] port
    CHRONICLE_EXCHANGE_SPEED=20                      [exchange] speed, if there is an [exchange]
    CHRONICLE_ARCHIVE_WARM_AFTER_S=60                [archive] warm_after_s, if there is an [archive]
    CHRONICLE_ETL_SNAPSHOT_INTERVAL_S=10             [etl] snapshot_interval_s, if there is an [etl]
    CHRONICLE_FEEDS_SEGMENT_SIZE=4194304             segment_size of every feed
    CHRONICLE_FEEDS_BINANCE_SPOT_CLIENT=picows       of [feeds.binance-spot] alone; wins over the above
    CHRONICLE_STRATEGY_SPIN_US=50                    spin_us of every strategy

A list is written with commas. Only the sections named here are looked at; within them an unknown key is a
ConfigError, so that a typing error cannot pass for an override.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.values import BadValue, convert

__all__ = ["host_overrides", "strategy_overrides"]

PREFIX = "CHRONICLE_"
SECTIONS = ("bus", "exchange", "etl", "router", "archive", "exporter", "strategies")
OPTIONAL = ("exchange", "etl", "archive")


def host_overrides(
    tables: dict[str, Any], environ: Mapping[str, str], kind: type[msgspec.Struct]
) -> dict[str, Any]:
    """`tables` of a host's TOML with the environment's values put in."""
    sections = {field.name: field.type for field in msgspec.structs.fields(kind)}
    result = dict(tables)
    for section in SECTIONS:
        if section in OPTIONAL and section not in tables:
            continue  # not on this host: nothing to override
        struct = _struct_in(sections[section])
        overrides = _taken(environ, f"{PREFIX}{section.upper()}_", struct)
        if overrides:
            result[section] = {**_table(result.get(section)), **overrides}
    feed = _struct_in(sections["feeds"])
    feeds = _table(tables.get("feeds"))
    if feeds:
        result["feeds"] = _feed_overrides(feeds, environ, feed)
    return result


def strategy_overrides(
    tables: dict[str, Any], environ: Mapping[str, str], kind: type[msgspec.Struct]
) -> dict[str, Any]:
    """`tables` of a strategy's TOML with the environment's values put in."""
    return {**tables, **_taken(environ, f"{PREFIX}STRATEGY_", kind)}


def _feed_overrides(
    feeds: dict[str, Any], environ: Mapping[str, str], kind: type[msgspec.Struct]
) -> dict[str, Any]:
    prefix = f"{PREFIX}FEEDS_"
    own = {name: f"{prefix}{name.upper().replace('-', '_').replace('.', '_')}_" for name in feeds}
    common = {key: text for key, text in environ.items() if not key.startswith(tuple(own.values()))}
    shared = _taken(common, prefix, kind)
    return {
        name: {**table, **shared, **_taken(environ, own[name], kind)} if isinstance(table, dict) else table
        for name, table in feeds.items()
    }


def _taken(environ: Mapping[str, str], prefix: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    plain = {key: type_ for key, type_ in fields.items() if not _is_table(type_)}
    taken: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(prefix):
            continue
        key = variable.removeprefix(prefix).lower()
        if key not in plain:
            allowed = ", ".join(sorted(prefix + name.upper() for name in plain))
            raise ConfigError(file="environment", key=variable, reason=f"unknown key; allowed: {allowed}")
        taken[key] = _parsed(plain[key], text, variable)
    return taken


def _parsed(kind: Any, text: str, variable: str) -> Any:
    items = [item.strip() for item in text.split(",") if item.strip()]
    value: Any = items if typing.get_origin(kind) in (tuple, list) else text
    try:
        return convert(kind, value, strict=False)
    except BadValue as error:
        raise ConfigError(file="environment", key=variable, reason=str(error)) from None


def _struct_in(kind: Any) -> type[msgspec.Struct]:
    """The struct type within `S`, `S | None` or `dict[str, S]`."""
    for option in (kind, *typing.get_args(kind)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    raise TypeError(f"{kind} holds no struct")


def _is_table(kind: Any) -> bool:
    return typing.get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
