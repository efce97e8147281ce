"""Bad links between two or more TUN devices, whose names are the arguments. Of more than two, the last number of
a packet's IPv4 address says which device it is for, from 1 on.

Each line of standard input is JSON with what is to hold from now on; what is not named is as it was:

  between                           two of the devices; all, where it is not said

  loss, duplicate, flip, overtake   probabilities of a packet; `flip` turns one of its bits around
  delay, jitter                     seconds; jitter reorders
  rate, queue                       bytes a second, and how many packets wait for their turn
  seed                              what chance is drawn from
"""

import fcntl
import heapq
import itertools
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
    devices = [tun(name) for name in sys.argv[1:]]
    pairs = itertools.combinations(range(1, len(devices) + 1), 2)
    links = {frozenset(pair): Link() for pair in pairs}

    def way(fd, packet):
        """The link of a packet from this device, and the device that it leads to."""
        here = devices.index(fd) + 1
        there = 3 - here if len(devices) == 2 else packet[19] if packet[0] >> 4 == 4 else 0
        return links.get(frozenset((here, there))), there

    commands, wait = b"", None
    while True:
        readable, _, _ = select.select([0, *devices], [], [], wait)
        now = time.monotonic()
        for fd in readable:
            if fd == 0:
                read = os.read(0, 65536)
                if not read:
                    return
                *lines, commands = (commands + read).split(b"\n")
                for line in lines:
                    values = json.loads(line)
                    between = values.pop("between", None)
                    for link in [links[frozenset(between)]] if between else links.values():
                        link.set(values)
                    print("set", flush=True)
            else:
                try:
                    while True:
                        packet = os.read(fd, 65536)
                        link, there = way(fd, packet)
                        if link:
                            link.take(packet, devices[there - 1], now)
                except BlockingIOError:
                    pass
                except OSError:
                    time.sleep(0.001)  # The device is down.
        waits = [wait for link in links.values() if (wait := link.deliver(now)) is not None]
        wait = max(min(waits), 0) if waits else None


main()
