"""For the scripts beside it: a server that answers after its client's end, and a client that counts.

    half-close.py RELAY-PORT SERVER-PORT SECONDS    the answer comes so late; prints how much arrived
"""

import socket
import sys
import threading
import time

relay, server, wait = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
ANSWER = b"x" * 200_000


def serve(listener):
    peer, _ = listener.accept()
    while peer.recv(65536):
        pass
    time.sleep(wait)
    try:
        peer.sendall(ANSWER)
    except OSError:
        pass
    peer.close()


listener = socket.create_server(("127.0.0.1", server))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
for _ in range(100):
    try:
        client = socket.create_connection(("127.0.0.1", relay), timeout=10)
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
client.sendall(b"question")
client.shutdown(socket.SHUT_WR)
heard, end = 0, "end of stream"
try:
    while data := client.recv(65536):
        heard += len(data)
except OSError as error:
    end = type(error).__name__
print(f"{heard} of {len(ANSWER)} bytes, then {end}")
