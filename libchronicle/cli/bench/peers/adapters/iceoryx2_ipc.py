"""iceoryx2: loaned samples in shared memory, written and read in place; the publisher waits for a slow subscriber."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any

iox2: Any = importlib.import_module("iceoryx2")

PACKAGE = "iceoryx2"
_BUFFER = 4096  # messages
_keep: list[Any] = []


def _service(where: str, channel: str) -> Any:
    iox2.set_log_level(iox2.LogLevel.Fatal)
    config = iox2.config.default()
    config.global_cfg.root_path = iox2.Path.new(f"{where}/iox2/")
    config.global_cfg.prefix = iox2.FileName.new(f"{os.path.basename(where)}_")
    node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)
    builder = node.service_builder(iox2.ServiceName.new(channel)).publish_subscribe(
        iox2.Slice[ctypes.c_uint8]
    )
    service = builder.enable_safe_overflow(False).subscriber_max_buffer_size(_BUFFER).open_or_create()
    _keep.extend((node, service))
    return service


def open_sender(where: str, channel: str) -> Any:
    builder = _service(where, channel).publisher_builder().initial_max_slice_len(64)
    publisher = builder.backpressure_strategy(iox2.BackpressureStrategy.RetryUntilDelivered).create()
    _keep.append(publisher)
    loan, move = publisher.loan_slice_uninit, ctypes.memmove

    def send(payload: bytes) -> None:
        sample = loan(64)
        move(sample.payload_ptr, payload, 64)
        sample.assume_init().send()

    return send


def open_receiver(where: str, channel: str) -> Any:
    subscriber = _service(where, channel).subscriber_builder().create()
    _keep.append(subscriber)
    return subscriber.receive


def payload(sample: Any) -> bytes:
    return bytes(sample.payload().as_memory_view())
