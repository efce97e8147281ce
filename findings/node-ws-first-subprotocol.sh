#!/usr/bin/env bash
# Node's `ws` server answers with the first subprotocol that a client offers, known to the server or not,
# unless it is given `handleProtocols`. RFC 6455 lets a server choose none, which means "I speak none of them".
# It matters to a relay that agrees on an extension of its own, such as a half-close, by a subprotocol: the
# answer does not say that the server knows it. A name of its own, and a check of what comes, do.
set -euo pipefail
command -v npm >/dev/null || { echo "this needs npm" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" ws@8.18.0 >/dev/null
cat >run.js <<'NODE'
const http = require("http");
const { WebSocketServer } = require("ws");
console.log("node", process.version, "ws", require("ws/package.json").version);

function answer(options) {
  return new Promise((resolve) => {
    const server = new WebSocketServer({ port: 0, ...options }, () => {
      const request = http.get({
        port: server.address().port,
        headers: {
          Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          "Sec-WebSocket-Protocol": "unknown.to.all, chat",
        },
      });
      request.on("upgrade", (response, socket) => {
        resolve(response.headers["sec-websocket-protocol"]);
        socket.destroy();
        server.close();
      });
    });
  });
}

(async () => {
  const bare = await answer({});
  const chosen = await answer({ handleProtocols: (offered) => (offered.has("chat") ? "chat" : false) });
  console.log("by default the server agrees to:", bare);
  console.log("with handleProtocols:", chosen);
  process.exit(bare === "unknown.to.all" && chosen === "chat" ? 0 : 1);
})();
NODE
node run.js
