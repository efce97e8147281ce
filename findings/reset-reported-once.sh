#!/usr/bin/env bash
# Linux reports a TCP reset to one system call alone. If that is a write, which fails with ECONNRESET,
# the reads behind it return what was still queued and then 0: a clean end of stream.
# It matters to a relay because its two directions use the same socket: the direction that reads would
# pass on an end that the peer never sent, unless the direction that writes tells it of the reset.
set -euo pipefail
uname -sr
python3 - <<'PYTHON'
import socket, struct, sys, time

def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    return ours, theirs

def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    time.sleep(0.1)

def reads(ours):
    seen = []
    while True:
        try:
            data = ours.recv(100)
            seen.append(data)
            if not data:
                return seen
        except ConnectionResetError:
            return seen + ["ECONNRESET"]

ours, theirs = pair()
theirs.sendall(b"half an answer")
reset(theirs)
only_read = reads(ours)
print("reads alone:", only_read)

ours, theirs = pair()
theirs.sendall(b"half an answer")
reset(theirs)
try:
    ours.send(b"more")
    written = "ok"
except ConnectionResetError:
    written = "ECONNRESET"
behind = reads(ours)
print("a write first:", written, "then reads:", behind)
sys.exit(0 if only_read[-1] == "ECONNRESET" and written == "ECONNRESET" and behind[-1] == b"" else 1)
PYTHON
