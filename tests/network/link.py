"""A bad link between two TUN devices, whose names are the arguments.

Each line of standard input is JSON with what is to hold from now on; what is not named is as it was:

  loss, duplicate, flip, overtake   probabilities of a packet; `flip` turns one of its bits around
  delay, jitter                     seconds; jitter reorders
  rate, queue                       bytes a second, and how many packets wait for their turn
  seed                              what chance is drawn from
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


class Link:
    def __init__(self):
        self.loss = self.duplicate = self.flip = self.overtake = 0
        self.delay = self.jitter = 0
        self.rate, self.queue, self.seed = 0, 1000, 0
        self.random = random.Random(0)
        # When each direction has sent what it has, and what is on its way: (when, number, to, packet).
        self.free, self.waiting, self.number = {}, [], 0

    def set(self, values):
        for name, value in values.items():
            getattr(self, name)
            setattr(self, name, value)
        if "seed" in values:
            self.random = random.Random(self.seed)

    def chance(self, probability):
        return self.random.random() < probability

    def take(self, packet, to, now):
        if self.chance(self.loss):
            return
        if self.chance(self.flip):
            packet = bytearray(packet)
            packet[self.random.randrange(len(packet))] ^= 1 << self.random.randrange(8)
        for _ in range(2 if self.chance(self.duplicate) else 1):
            sent = now
            if self.rate:
                sent = max(now, self.free.get(to, now)) + len(packet) / self.rate
                if sent - now > self.queue * 1500 / self.rate:
                    return
                self.free[to] = sent
            arrives = sent + self.delay + self.random.random() * self.jitter
            if self.chance(self.overtake):
                arrives = now
            self.number += 1
            heapq.heappush(self.waiting, (arrives, self.number, to, bytes(packet)))

    def deliver(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(self.waiting)
            try:
                os.write(to, packet)
            except OSError:
                pass  # The device is down: the packet is lost.
        return self.waiting[0][0] - now if self.waiting else None


def main():
    a, b = (tun(name) for name in sys.argv[1:])
    other = {a: b, b: a}
    link = Link()
    commands, wait = b"", None
    while True:
        readable, _, _ = select.select([0, a, b], [], [], wait)
        now = time.monotonic()
        for fd in readable:
            if fd == 0:
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, commands = (commands + read).split(b"\n")
                for line in lines:
                    link.set(json.loads(line))
                    print("set", flush=True)
            else:
                try:
                    while True:
                        link.take(os.read(fd, 65536), other[fd], now)
                except BlockingIOError:
                    pass
                except OSError:
                    time.sleep(0.001)  # The device is down.
        wait = link.deliver(now)
        if wait is not None:
            wait = max(wait, 0)


main()
