#!/usr/bin/env bash
# socat as a relay with its defaults: a client sends a question and half-closes, the server answers a
# second later, and the client gets nothing but a clean end of stream. socat waits for 0.5 s (`-t`).
# It matters to a relay because `printf question | client` half-closes, and a peer that reads an end of
# stream takes it that all has arrived. With `-t 5` the answer arrives.
set -euo pipefail
cd "$(dirname "$0")"
command -v socat >/dev/null || { echo "this needs socat" >&2; exit 2; }
socat -V | sed -n 2p

through() { # options
    socat "$@" TCP-LISTEN:20701,bind=127.0.0.1,reuseaddr TCP:127.0.0.1:20702 &
    local relay=$!
    python3 half-close.py 20701 20702 1
    kill "$relay" 2>/dev/null || true
    wait "$relay" 2>/dev/null || true
}

default=$(through)
patient=$(through -t 5)
echo "default: $default"
echo "-t 5:    $patient"
[ "$default" = "0 of 200000 bytes, then end of stream" ] &&
    [ "$patient" = "200000 of 200000 bytes, then end of stream" ]
