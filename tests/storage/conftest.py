import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server of the tests' own."""
    server = pytest.importorskip("moto.server")
    running = server.ThreadedMotoServer(port=0, ip_address="127.0.0.1", verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()
