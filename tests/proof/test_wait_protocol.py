"""The wait protocol of `wait.c`, every interleaving: no reader stays asleep over a record, whoever is killed in between.

A state holds, per queue, the futex word, the records that stand in memory and what its writer is about to do; per
reader, what it is about to do and what it has seen. A step is one access to shared memory or one system call. The
writer's commit store first stands in its store buffer and reaches memory at any later moment (x86, and weaker machines
as far as this protocol can tell); a fence or a locked instruction waits for that. All states reachable are visited,
breadth first, so the trace of a fault is a shortest one.

The fault looked for: a writer is between two appends, nothing is on its way to memory, and a reader sleeps on its queue
with a record unread. In the code such a reader sleeps until its slice of at most a second is over; here slices may end
at any moment but need not, so a lost wake-up is a state and not a delay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest


class Writer(NamedTuple):
    at: str = "rest"  # rest, stored, fenced, odd, cleared, dead, opened
    buffered: bool = False  # the commit store has not reached memory yet


class Reader(NamedTuple):
    queues: tuple[int, ...]
    cursors: tuple[int, ...]
    at: str = "look"  # look, ask, (early,) recheck, enter, parked, dead
    seen: tuple[int, ...] = ()  # the words as fetch_or left them
    queued: int = 0  # so many of its words the kernel has looked at and queued it on
    woken: bool = False  # while still being queued


class State(NamedTuple):
    words: tuple[int, ...]
    tails: tuple[int, ...]
    writers: tuple[Writer, ...]
    readers: tuple[Reader, ...]
    kills: tuple[int, int]  # of writers and of readers that may still happen


@dataclass(frozen=True)
class Model:
    """What is explored. The defaults are the protocol as it is written."""

    sleepers: tuple[tuple[int, ...], ...] = ((0,), (0,), (0,))  # the queues each of them waits on
    appends: int = 2
    kills: tuple[int, int] = (1, 1)
    generation: bool = True  # False: a bare waiter bit
    writer_fence: bool = True
    reader_fence: bool = True  # False: the look may be done before the bit is set

    def start(self) -> State:
        queues = 1 + max(q for sleeper in self.sleepers for q in sleeper)
        readers = tuple(Reader(sleeper, (0,) * len(sleeper)) for sleeper in self.sleepers)
        return State((0,) * queues, (0,) * queues, (Writer(),) * queues, readers, self.kills)

    def steps(self, s: State) -> Iterator[tuple[str, State]]:
        for q in range(len(s.words)):
            yield from self._writer_steps(s, q)
        for i in range(len(s.readers)):
            if i == 0 or s.readers[i] != s.readers[i - 1]:  # sorted: twins do the same
                yield from self._reader_steps(s, i)

    # ------------------------------------------------------------ the writer of queue q

    def _writer_steps(self, s: State, q: int) -> Iterator[tuple[str, State]]:
        w = s.writers[q]
        who = f"writer {q}"

        def move(at: str, state: State = s, buffered: bool = w.buffered) -> State:
            return state._replace(writers=put(state.writers, q, Writer(at, buffered)))

        if w.buffered:
            landed = s._replace(tails=put(s.tails, q, s.tails[q] + 1))
            yield f"{who}: its commit store reaches memory", move(w.at, landed, False)
        drained = not w.buffered
        if w.at == "rest" and s.tails[q] + w.buffered < self.appends and drained:
            yield f"{who}: stores commit", move("stored", buffered=True)
        elif w.at == "stored" and (drained or not self.writer_fence):
            yield f"{who}: fence", move("fenced")
        elif w.at == "fenced":
            yield f"{who}: loads the word: {s.words[q]}", move("odd" if s.words[q] & 1 else "rest")
        elif w.at == "odd" and drained:  # a locked instruction
            word = s.words[q] + 1 if self.generation else 0
            yield f"{who}: clears the bit", move("cleared", s._replace(words=put(s.words, q, word)))
        elif w.at in ("cleared", "opened"):
            yield f"{who}: wakes all", move("rest", wake(s, q))
        elif w.at == "dead" and drained:
            word = s.words[q] + 2 if self.generation else s.words[q]
            yield f"{who}: its successor opens", move("opened", s._replace(words=put(s.words, q, word)))
        if w.at != "dead" and s.kills[0]:
            yield f"{who}: killed", move("dead", s._replace(kills=(s.kills[0] - 1, s.kills[1])))

    # ------------------------------------------------------------ reader i

    def _reader_steps(self, s: State, i: int) -> Iterator[tuple[str, State]]:
        r = s.readers[i]
        who = f"reader {i}"

        def move(reader: Reader, state: State = s) -> State:
            return state._replace(readers=tuple(sorted(put(state.readers, i, reader))))

        awake = Reader(r.queues, r.cursors)
        unread = any(s.tails[q] > c for q, c in zip(r.queues, r.cursors, strict=True))
        if r.at == "look":
            if unread:
                yield f"{who}: reads", move(awake._replace(cursors=tuple(s.tails[q] for q in r.queues)))
            else:
                yield f"{who}: finds nothing", move(r._replace(at="ask"))
        elif r.at in ("ask", "early"):
            if r.at == "ask" and not self.reader_fence and not r.seen and not unread:
                yield f"{who}: looks again, too early", move(r._replace(at="early"))
            q = r.queues[len(r.seen)]
            asked = s._replace(words=put(s.words, q, s.words[q] | 1))
            seen = (*r.seen, s.words[q] | 1)
            last = len(seen) == len(r.queues)
            following = r.at if not last else "enter" if r.at == "early" else "recheck"
            yield (
                f"{who}: sets the bit of word {q}: {seen[-1]}",
                move(r._replace(at=following, seen=seen), asked),
            )
        elif r.at == "recheck":
            yield f"{who}: looks again", move(awake if unread else r._replace(at="enter"))
        elif r.at == "enter":
            if r.queued == len(r.queues):
                yield f"{who}: falls asleep", move(awake if r.woken else r._replace(at="parked", seen=()))
            elif s.words[r.queues[r.queued]] == r.seen[r.queued]:
                yield f"{who}: queued on word {r.queues[r.queued]}", move(r._replace(queued=r.queued + 1))
            else:
                yield f"{who}: the word has changed, no sleep", move(awake)
        elif r.at == "parked":
            yield f"{who}: its slice is over", move(awake)
        if r.at != "dead" and s.kills[1]:
            dead = Reader(r.queues, (0,) * len(r.queues), "dead")
            yield f"{who}: killed", move(dead, s._replace(kills=(s.kills[0], s.kills[1] - 1)))

    @staticmethod
    def asleep_over_a_record(s: State) -> bool:
        return any(
            r.at == "parked" and s.tails[q] > cursor and s.writers[q] == Writer("rest")
            for r in s.readers
            for q, cursor in zip(r.queues, r.cursors, strict=True)
        )

    def explore(self) -> tuple[int, list[str]]:
        """(states reached, the shortest way into the fault or [])."""
        start = self.start()
        came_from: dict[State, tuple[State, str] | None] = {start: None}
        frontier = [start]
        while frontier:
            following = []
            for state in frontier:
                for text, reached in self.steps(state):
                    if reached in came_from:
                        continue
                    came_from[reached] = (state, text)
                    if self.asleep_over_a_record(reached):
                        return len(came_from), way_to(came_from, reached)
                    following.append(reached)
            frontier = following
        return len(came_from), []


def put(values: tuple, index: int, value: object) -> tuple:
    return (*values[:index], value, *values[index + 1 :])


def wake(s: State, q: int) -> State:
    """Everybody queued on q: those asleep are back at the top, those still being queued will not fall asleep."""

    def woken(r: Reader) -> Reader:
        if q not in r.queues[: r.queued]:
            return r
        return Reader(r.queues, r.cursors) if r.at == "parked" else r._replace(woken=True)

    return s._replace(readers=tuple(sorted(woken(r) for r in s.readers)))


def way_to(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way = []
    step = came_from[state]
    while step is not None:
        way.append(step[1])
        step = came_from[step[0]]
    return way[::-1]


ONE = (0,)
TWO = (0, 1)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (Model(appends=1), Model(appends=3, kills=(1, 1))),
        (Model((ONE, TWO), appends=1, kills=(1, 0)), Model((ONE, ONE, TWO), appends=1, kills=(1, 0))),
        (Model(kills=(2, 0), appends=1), Model((ONE, ONE, ONE, ONE), appends=2, kills=(1, 0))),
    ],
    ids=["three sleepers, anyone killed", "one of them waits on two queues", "two writers killed in turn"],
)
def test_nobody_stays_asleep_over_a_record_in_any_interleaving(short, long, scale, report):
    model = long if scale.long else short
    states, way = model.explore()
    report(states=states)
    print(f"{states} states")
    assert way == []
    assert states > 1_000


def test_a_bare_waiter_bit_loses_a_wake_up_of_two_sleepers_and_the_checker_finds_it():
    _, way = Model(sleepers=(ONE, ONE), kills=(0, 0), generation=False).explore()
    print("\n".join(way))
    assert 10 <= len(way) <= 20
    assert Model(sleepers=(ONE, ONE), kills=(0, 0)).explore()[1] == []


def test_one_sleeper_alone_does_not_show_that_fault():
    assert Model(sleepers=(ONE,), kills=(0, 0), generation=False).explore()[1] == []


@pytest.mark.parametrize("missing", ["writer_fence", "reader_fence"])
def test_without_either_fence_a_wake_up_is_lost_and_the_checker_finds_it(missing):
    _, way = Model(sleepers=(ONE,), appends=1, kills=(0, 0), **{missing: False}).explore()
    print("\n".join(way))
    assert way
