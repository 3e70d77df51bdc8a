"""How the users of the load's child program wait: for a socket, for a timeout, for an instant; others run meanwhile.

gevent's own sockets start a timer for each wait, and its timers are as coarse as epoll's milliseconds. Here a socket's
wait starts no timer (one greenlet a load looks after all timeouts), and instants come from the kernel's timer.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import os
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from typing import Protocol

import gevent
from gevent import monkey
from gevent.hub import get_hub

from sloproof.load.line import POLL_IN, Line, WaitingLine
from sloproof.model import NANOSECONDS

_FOREVER = 1 << 62
_READ, _WRITE = 1, 2
_ABSOLUTE = 1
_NONBLOCK = os.O_NONBLOCK
_CLOSE_ON_EXEC = os.O_CLOEXEC


class _Watcher(Protocol):
    """gevent's watch over a file descriptor or a time."""

    def start(self, callback: Callable[[], None], **settings: bool) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class GreenletLine:
    """A line that lets other greenlets run while it waits; see `Line`.

    Args:
        connected: A socket without TLS.
        lines: Where it puts itself while it is open, for the timeouts.
    """

    def __init__(self, connected: socket.socket, lines: Lines) -> None:
        family, kind, protocol = connected.family, connected.type, connected.proto
        # A gevent socket waits on its own; the one below it does not, and costs a third.
        raw = monkey.get_original("socket", "socket")(family, kind, protocol, fileno=connected.detach())
        raw.settimeout(0.0)
        self._raw = raw
        self.send = raw.send
        self.recv = raw.recv
        self.deadline_ns = _FOREVER
        self._lines = lines
        self._hub = get_hub()
        self._readable = self._hub.loop.io(raw.fileno(), _READ)
        self._waiting: gevent.Greenlet | None = None
        poll = monkey.get_original("select", "poll")()
        poll.register(raw.fileno(), POLL_IN)
        self._poll = poll.poll
        lines.open.add(self)

    def await_readable(self, deadline_ns: int, /) -> None:
        """See `Line`."""
        self._await(self._readable, deadline_ns)

    def await_writable(self, deadline_ns: int, /) -> None:
        """See `Line`."""
        watcher = self._hub.loop.io(self._raw.fileno(), _WRITE)
        try:
            self._await(watcher, deadline_ns)
        finally:
            watcher.close()

    def _await(self, watcher: _Watcher, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._waiting = gevent.getcurrent()
        watcher.start(self._resume)
        try:
            self._hub.switch()
        finally:
            watcher.stop()
            self._waiting = None
            expired = self.deadline_ns < 0
            self.deadline_ns = _FOREVER
        if expired:
            raise TimeoutError("no whole answer in time")

    def _resume(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.switch()

    def expire(self) -> None:
        """End the wait with a TimeoutError."""
        self.deadline_ns = -1
        self._hub.loop.run_callback(self._resume)

    def is_quiet(self) -> bool:
        """See `Line`."""
        return not self._poll(0)

    def close(self) -> None:
        """See `Line`."""
        self._lines.open.discard(self)
        self._readable.close()
        self._raw.close()


class Lines:
    """The open lines of one load, and the greenlet that ends waits which have lasted too long.

    All requests of a load have the same timeout, so none can be due before the earliest of those that wait now, or a
    whole timeout from now: one look at that instant is enough, and no request needs a timer of its own.

    Args:
        timeout_seconds: How long a request may take.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.open: set[GreenletLine] = set()
        self._timeout_ns = round(timeout_seconds * NANOSECONDS)
        self._look = gevent.spawn(self._look_after)

    def make(self, connected: socket.socket) -> Line:
        """Take a connected socket over; see `MakeLine`."""
        if isinstance(connected, ssl.SSLSocket):
            return WaitingLine(connected)
        return GreenletLine(connected, self)

    def _look_after(self) -> None:
        while True:
            now = time.monotonic_ns()
            earliest = now + self._timeout_ns
            for line in list(self.open):
                if 0 <= line.deadline_ns <= now:
                    line.expire()
                elif 0 <= line.deadline_ns < earliest:
                    earliest = line.deadline_ns
            gevent.sleep((earliest - now) / NANOSECONDS)

    def close(self) -> None:
        """End the looking."""
        self._look.kill(block=False)


class Alarm:
    """Wakes greenlets at instants of the monotonic clock, as exactly as the kernel can."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, gevent.Greenlet]] = []
        self._numbers = itertools.count()
        self._gone: set[int] = set()
        self._armed_ns = _FOREVER
        self._hub = get_hub()
        self._timer = _KernelTimer() if sys.platform == "linux" else _LoopTimer()
        self._timer.start(self._ring)

    def sleep_until(self, instant_ns: int) -> None:
        """Sleep until an instant, or until everyone is woken."""
        number = next(self._numbers)
        heapq.heappush(self._heap, (instant_ns, number, gevent.getcurrent()))
        if instant_ns < self._armed_ns:
            self._arm(instant_ns)
        try:
            self._hub.switch()
        except BaseException:
            self._gone.add(number)  # killed: its place in the heap is nobody's
            raise

    def wake_all(self) -> None:
        """Wake everyone, early."""
        heap, self._heap = self._heap, []
        for _, number, greenlet in heap:
            if number not in self._gone:
                self._hub.loop.run_callback(greenlet.switch)

    def _arm(self, instant_ns: int) -> None:
        self._armed_ns = instant_ns
        self._timer.set(instant_ns)

    def _ring(self) -> None:
        self._armed_ns = _FOREVER
        heap = self._heap
        while heap and heap[0][0] <= time.monotonic_ns():
            _, number, greenlet = heapq.heappop(heap)
            if number in self._gone:
                self._gone.discard(number)
            else:
                greenlet.switch()
            heap = self._heap
        if heap and heap[0][0] < self._armed_ns:
            self._arm(heap[0][0])

    def close(self) -> None:
        """Give the timer back."""
        self._timer.close()


class _KernelTimer:
    """A timer of the Linux kernel, read through a file descriptor."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK | _CLOSE_ON_EXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        self._watcher = get_hub().loop.io(self._fd, _READ)
        self._value = ctypes.create_string_buffer(32)

    def start(self, ring: Callable[[], None]) -> None:
        def heard() -> None:
            try:
                os.read(self._fd, 8)
            except BlockingIOError:
                return  # set anew meanwhile
            ring()

        self._watcher.start(heard)

    def set(self, instant_ns: int) -> None:
        struct.pack_into("qqqq", self._value, 0, 0, 0, *divmod(max(instant_ns, 1), NANOSECONDS))
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, self._value, None)

    def close(self) -> None:
        self._watcher.close()
        os.close(self._fd)


class _LoopTimer:
    """A timer of gevent's loop, for systems without timers as files."""

    def __init__(self) -> None:
        self._ring: Callable[[], None] = lambda: None
        self._watcher: _Watcher | None = None

    def start(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def set(self, instant_ns: int) -> None:
        self.close()
        self._watcher = get_hub().loop.timer(max(instant_ns - time.monotonic_ns(), 0) / NANOSECONDS)
        self._watcher.start(self._ring, update=True)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
