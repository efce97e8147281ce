#!/usr/bin/env bash
# nginx's stream module with its defaults: a client sends a question and half-closes, the server answers
# half a second later, and the client gets nothing but a clean end of stream.
# It matters to a relay because `printf question | client` half-closes, and a peer that reads an end of
# stream takes it that all has arrived. With `proxy_half_close on` the answer arrives.
set -euo pipefail
cd "$(dirname "$0")"
module=/usr/lib/nginx/modules/ngx_stream_module.so
[ -e $module ] || { echo "this needs nginx's stream module (Debian: libnginx-mod-stream)" >&2; exit 2; }
PATH=$PATH:/usr/sbin
nginx -v 2>&1
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

through() { # on or off
    cat >"$folder/nginx.conf" <<CONF
load_module $module;
daemon off; pid $folder/pid; error_log $folder/log;
events {}
stream { server { listen 127.0.0.1:20703; proxy_pass 127.0.0.1:20704; proxy_half_close $1; } }
CONF
    nginx -c "$folder/nginx.conf" -p "$folder" 2>/dev/null &
    local relay=$!
    python3 half-close.py 20703 20704 0.5
    kill "$relay"
    wait "$relay" || true
}

off=$(through off)
on=$(through on)
echo "default:             $off"
echo "proxy_half_close on: $on"
[ "$off" = "0 of 200000 bytes, then end of stream" ] &&
    [ "$on" = "200000 of 200000 bytes, then end of stream" ]
