from libchronicle.queue import Publisher, Subscriber
from libchronicle.strategy.trace import StopMonitor

def echo(reader: Subscriber, writer: Publisher, monitor: StopMonitor, with_book: bool) -> int: ...
