"""Tardis.dev: downloadable CSV files of many venues, with the vendor's own receive times."""

from libchronicle.venues.tardis.layout import VENUES, Layout, read_header
from libchronicle.venues.tardis.parser import TardisParser, TardisSurvey

__all__ = ["VENUES", "Layout", "TardisParser", "TardisSurvey", "read_header"]
