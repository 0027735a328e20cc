"""Queues: one writer, any number of readers, every record kept.

writer = Queue.open_publisher(path, config)
seq = writer.append(type_id, payload)
reader = Queue.open_subscriber(path, "alpha")
msg = reader.next()
"""

from libchronicle.native.binding import Mapping, Message, Publisher, Subscriber, wait_any
from libchronicle.queue.config import QueueConfig
from libchronicle.queue.face import Queue

__all__ = ["Mapping", "Message", "Publisher", "Queue", "QueueConfig", "Subscriber", "wait_any"]
