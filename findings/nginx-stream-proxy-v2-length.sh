#!/usr/bin/env bash
# nginx's stream module as a server that expects PROXY headers: a valid header of version 2 that has
# additions (TLVs) and more than 107 bytes in all is refused, and the client is disconnected. 107 bytes is
# the limit of version 1; version 2 has none but its 16-bit length.
# It matters to a relay because a header with the client's server name (AUTHORITY) is that long for a
# name of 77 characters, so that the clients of long names alone are cut off.
set -euo pipefail
module=/usr/lib/nginx/modules/ngx_stream_module.so
[ -e $module ] || { echo "this needs nginx's stream module (Debian: libnginx-mod-stream)" >&2; exit 2; }
PATH=$PATH:/usr/sbin
nginx -v 2>&1
folder=$(mktemp -d)
cat >"$folder/nginx.conf" <<CONF
load_module $module;
daemon off; pid $folder/pid; error_log $folder/log info;
events {}
stream { server { listen 127.0.0.1:20705 proxy_protocol; return "client \$proxy_protocol_addr"; } }
CONF
nginx -c "$folder/nginx.conf" -p "$folder" 2>/dev/null &
relay=$!
trap 'kill $relay; wait $relay || true; rm -r "$folder"' EXIT
python3 - <<'PYTHON'
import socket, struct, sys, time

def answer(length):
    """What a client hears whose header has this length."""
    name = b"n" * (length - 16 - 12 - 3)
    addresses = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack("!HH", 5000, 443)
    body = addresses + struct.pack("!BH", 2, len(name)) + name
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(body)) + body
    assert len(header) == length
    for _ in range(100):
        try:
            client = socket.create_connection(("127.0.0.1", 20705), timeout=5)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    client.sendall(header)
    try:
        return client.recv(100)
    except OSError as error:
        return type(error).__name__

short, long = answer(107), answer(108)
print("107 bytes:", short)
print("108 bytes:", long)
sys.exit(0 if short == b"client 192.0.2.7" and long != b"client 192.0.2.7" else 1)
PYTHON
