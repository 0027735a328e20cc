"""The bytes of every schema version, kept: a layout that moves breaks here first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.protocol import Decoder
from libchronicle.protocol.schema import load

sys.path.insert(0, str(Path(__file__).parent))
from specimens import GOLDEN, fixture, specimen

SCHEMA = load()
VERSIONS = [int(directory.name[1:]) for directory in sorted(GOLDEN.iterdir())]
CASES = [(version, m) for version in VERSIONS for m in SCHEMA.messages if m.since <= version]


@pytest.mark.parametrize("message", SCHEMA.messages, ids=lambda m: m.name)
def test_every_message_has_a_fixture_of_the_present_version(message):
    assert specimen(message, SCHEMA.version).encode() == fixture(message, SCHEMA.version).read_bytes()


@pytest.mark.parametrize(("version", "message"), CASES, ids=lambda v: getattr(v, "name", v))
def test_what_a_writer_of_any_version_left_still_decodes(version, message):
    payload = fixture(message, version).read_bytes()
    assert int.from_bytes(payload[0:2], "little") == message.block_length_at(version)
    assert Decoder().decode(message.template_id, payload) == specimen(message, version)


def test_no_fixture_lies_about_without_a_message():
    expected = {fixture(message, version) for version, message in CASES}
    assert {path for path in GOLDEN.rglob("*") if path.is_file()} == expected
