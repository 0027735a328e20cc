"""The object store behind the remote tier: put, look at, read a range. A thin shell over obstore, imported when first used.

A request that is refused, stalls or is cut off is tried again a few times within a time limit, then it is an
ObjectStoreError, which says what to do; nothing on this host is removed on the word of a store that has not given the
bytes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar, cast

from libchronicle.errors import ObjectStoreError
from libchronicle.storage.frames import library

__all__ = ["ObjectStore"]

T = TypeVar("T")

_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.2
_POLL_S: Final = 0.1
_PART: Final = 8 << 20
_TIMEOUT: Final = "30s"


class ObjectStore:
    """One bucket and prefix. `url` is s3://…, gs://…, az://…, file:///… or memory:///."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, str] | None = None,
        *,
        timeout: str = _TIMEOUT,
        waiting: Callable[[], object] | None = None,
    ) -> None:
        """Opens no connection. `timeout` is that of one request ("30s"); `waiting` is called ten times a second during one:
        a daemon beats there, and what it raises ends the wait.

        Raises ObjectStoreError (no such kind of store, or an option it does not know), HostError (no client installed).
        """
        self._waiting = waiting
        self.url = url.rstrip("/")
        store = library("obstore.store")
        self._api = library("obstore")
        self._errors = library("obstore.exceptions").BaseError
        client = {"timeout": timeout, "connect_timeout": timeout}
        if (options or {}).get("aws_endpoint", "").startswith("http://"):
            client["allow_http"] = True  # type: ignore[assignment]
        arguments: dict[str, Any] = {}
        if not url.startswith(("file:", "memory:")):
            arguments = {
                "config": dict(options or {}),
                "client_options": client,
                "retry_config": {"max_retries": 0},
            }
        try:
            self._store = store.from_url(self.url, **arguments)
        except (self._errors, ValueError, TypeError) as error:
            raise ObjectStoreError(url=url, reason=_first_line(error)) from error

    def put(self, key: str, data: bytes) -> None:
        """Raises ObjectStoreError."""
        if len(data) <= _PART:
            self._try(key, lambda: self._api.put(self._store, key, data, use_multipart=False))
        else:
            self._try(key, lambda: self._put_in_parts(key, data))

    def _put_in_parts(self, key: str, data: bytes) -> None:
        """Each part is a request with its own time limit; the object is there when all are."""
        with self._api.open_writer(self._store, key, buffer_size=_PART, max_concurrency=2) as writer:
            for at in range(0, len(data), _PART):
                writer.write(data[at : at + _PART])

    def read(self, key: str, offset: int, size: int) -> bytes:
        """That many bytes; fewer where the object ends before. Raises ObjectStoreError."""
        if size == 0:
            return b""
        return self._try(key, lambda: bytes(self._api.get_range(self._store, key, start=offset, length=size)))

    def size(self, key: str) -> int:
        """Bytes of the object. Raises ObjectStoreError."""
        return self._try(key, lambda: int(self._api.head(self._store, key)["size"]))

    def url_of(self, key: str) -> str:
        return f"{self.url}/{key}"

    def key_of(self, url: str) -> str:
        """Raises ObjectStoreError: the object lies in another store than this one."""
        if not url.startswith(self.url + "/"):
            raise ObjectStoreError(url=url, reason=f"lies outside {self.url}, the store that is configured")
        return url[len(self.url) + 1 :]

    def _wait_for(self, deed: Callable[[], T]) -> T:
        """In a thread of its own where somebody wants to be called meanwhile: a client's call heeds no signal."""
        if self._waiting is None:
            return deed()
        results: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        Thread(target=_run, args=(deed, results), daemon=True, name="object store").start()
        while True:
            self._waiting()
            try:
                result, error = results.get(timeout=_POLL_S)
            except Empty:
                continue
            if error is not None:
                raise error
            return cast(T, result)

    def _try(self, key: str, deed: Callable[[], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._wait_for(deed)
            except FileNotFoundError as error:
                raise ObjectStoreError(url=self.url_of(key), reason="no such object") from error
            except (self._errors, OSError, ValueError) as error:
                if attempt == _ATTEMPTS or isinstance(error, PermissionError):
                    raise ObjectStoreError(url=self.url_of(key), reason=_first_line(error)) from error
                time.sleep(_PAUSE_S * attempt)
        raise AssertionError


def _run(deed: Callable[[], T], results: SimpleQueue[tuple[T | None, BaseException | None]]) -> None:
    try:
        results.put((deed(), None))
    except BaseException as error:  # noqa: BLE001 - raised again by who waits
        results.put((None, error))


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
