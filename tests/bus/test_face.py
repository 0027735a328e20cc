import subprocess
import sys

import pytest

import libchronicle.bus as bus


def test_the_lazy_table_and_the_face_are_one() -> None:
    assert sorted(bus._HOMES) == sorted(bus.__all__)
    for name, home in bus._HOMES.items():
        assert getattr(bus, name) is not None, f"{home}.{name}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = bus.nothing_like_that


def test_asking_for_a_path_loads_no_queue() -> None:
    code = "import sys; from libchronicle.bus import BusPaths; assert 'libchronicle.queue' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
