#!/usr/bin/env bash
# Python's SSLSocket.close() closes the TCP connection and sends no close_notify; only unwrap() does.
# urllib, requests and aiohttp end their connections so, when they are done.
# It matters to a relay that ends TLS because an end without close_notify is how a stream that was cut
# looks: one that resets the server for each ends every session of these clients as a failure.
set -euo pipefail
command -v openssl >/dev/null || { echo "this needs openssl" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$folder/key" -out "$folder/cert" 2>/dev/null
python3 - "$folder" <<'PYTHON'
import socket, ssl, sys, threading

folder = sys.argv[1]
print("Python", sys.version.split()[0], ssl.OPENSSL_VERSION)

def seen_when(end):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/cert", folder + "/key")
    listener = socket.create_server(("127.0.0.1", 0))

    def client():
        trust = ssl.create_default_context(cafile=folder + "/cert")
        tcp = socket.create_connection(listener.getsockname())
        tls = trust.wrap_socket(tcp, server_hostname="localhost")
        tls.sendall(b"all I have to say")
        tls.recv(2)
        end(tls)

    thread = threading.Thread(target=client)
    thread.start()
    tcp, _ = listener.accept()
    server = context.wrap_socket(tcp, server_side=True, suppress_ragged_eofs=False)
    server.recv(100)
    server.sendall(b"ok")
    try:
        seen = "close_notify" if server.recv(100) == b"" else "bytes"
    except ssl.SSLEOFError:
        seen = "no close_notify"
    server.close()
    thread.join()
    return seen

def unwrap(tls):
    try:
        tls.unwrap()
    except (ssl.SSLError, OSError):
        pass  # The server above does not answer it.

closed, unwrapped = seen_when(lambda tls: tls.close()), seen_when(unwrap)
print("close():  the server sees", closed)
print("unwrap(): the server sees", unwrapped)
sys.exit(0 if (closed, unwrapped) == ("no close_notify", "close_notify") else 1)
PYTHON
