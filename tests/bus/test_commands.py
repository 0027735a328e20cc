import threading

import pytest

from libchronicle.bus.commands import STOP, CommandChannel
from libchronicle.errors import ChannelFull, SecondProducer


def test_commands_come_out_in_the_order_they_went_in() -> None:
    channel: CommandChannel[int] = CommandChannel("test")
    for n in range(5):
        channel.send(n)
    got = []
    while channel.pending:
        got.append(channel.poll())
    assert got == [0, 1, 2, 3, 4]
    assert channel.poll() is None


def test_a_full_channel_refuses_and_names_itself() -> None:
    channel: CommandChannel[int] = CommandChannel("router", capacity=2)
    channel.send(1)
    channel.send(2)
    with pytest.raises(ChannelFull, match="router: 2 commands"):
        channel.send(3)
    channel.poll()
    channel.send(3)


def test_stop_overtakes_what_waits_and_stays() -> None:
    channel: CommandChannel[int] = CommandChannel("test")
    channel.send(1)
    channel.stop()
    assert channel.pending
    assert channel.poll() is STOP
    assert channel.poll() is STOP


def test_a_second_producer_is_refused() -> None:
    channel: CommandChannel[int] = CommandChannel("test")
    channel.send(1)
    caught: list[BaseException] = []

    def intrude() -> None:
        try:
            channel.send(2)
        except SecondProducer as error:
            caught.append(error)

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_nothing_is_lost_between_a_fast_producer_and_a_loop_that_looks_at_pending() -> None:
    channel: CommandChannel[int] = CommandChannel("test", capacity=4)
    producer = threading.Thread(target=lambda: [channel.send(n, timeout_s=30) for n in range(300)])
    producer.start()
    got: list[object] = []
    while len(got) < 300:
        if channel.pending:
            command = channel.poll()
            if command is not None:
                got.append(command)
    producer.join()
    assert got == list(range(300))


def test_stop_ends_a_running_loop_from_another_thread() -> None:
    channel: CommandChannel[int] = CommandChannel("test")
    rounds = 0
    threading.Timer(0.05, channel.stop).start()
    while not (channel.pending and channel.poll() is STOP):
        rounds += 1
    assert rounds
