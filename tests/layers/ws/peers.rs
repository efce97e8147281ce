//! The libraries that programs use: `websockets` of Python, `ws` of Node, as servers and as clients.

use std::{
    io::{Read, Write},
    net::Shutdown,
    process::Command,
};

use couplet_tests::{
    Couplet, Process,
    net::{accept, connect, dial, expect_end, expect_reset, listen, reset},
    pattern, program, python_program,
};

/// Sends what it is told, and prints what comes and how it ends: `PORT MODE`.
const PYTHON: &str = r#"
import asyncio, sys, websockets

async def talk(ws, mode):
    if mode == "abort":
        await ws.send(b"half")
        ws.transport.abort()
        return
    length = 0
    if mode == "client":
        await ws.send(b"question")
        await ws.send("as text")
    try:
        async for message in ws:
            length += len(message)
            if mode == "echo":
                await ws.send(message)
            if mode == "client" and length == 6:
                break
        await ws.close()
    except websockets.ConnectionClosed:
        pass
    print("came", length, "code", ws.close_code, flush=True)

async def main(port, mode):
    if mode == "echo":
        async with websockets.serve(lambda ws: talk(ws, mode), "127.0.0.1", 0) as server:
            print("serves", server.sockets[0].getsockname()[1], flush=True)
            await asyncio.Future()
    else:
        protocols = {"subprotocols": ["mqtt"]} if mode == "offers" else {}
        async with websockets.connect(f"ws://127.0.0.1:{port}/relay", compression=None, **protocols) as ws:
            if mode == "offers":
                print("chose", ws.subprotocol, flush=True)
            await talk(ws, mode)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"#;

const NODE: &str = r#"
const { WebSocket, WebSocketServer } = require("ws");
const [port, mode] = process.argv.slice(1);
if (mode === "echo") {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () =>
    console.log("serves", server.address().port));
  server.on("connection", (ws) => {
    let length = 0;
    ws.on("message", (message) => { length += message.length; ws.send(message); });
    ws.on("close", (code) => console.log("came", length, "code", code));
  });
} else {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/relay`, { perMessageDeflate: mode === "deflate" });
  let length = 0;
  ws.on("open", () => { ws.send(Buffer.from("question")); ws.send("as text"); });
  ws.on("message", (message) => { length += message.length; if (length === 6) ws.close(1000); });
  ws.on("close", (code) => console.log("came", length, "code", code));
  ws.on("error", (error) => console.log("failed", error.message));
}
"#;

fn python(port: u16, mode: &str) -> Process {
    let mut command = python_program("python");
    command.args(["-c", PYTHON, &port.to_string(), mode]);
    Process::spawn("websockets", &mut command)
}

fn node(port: u16, mode: &str) -> Process {
    let mut command: Command = program("node");
    command.args(["-e", NODE, &port.to_string(), mode]);
    // Where Debian keeps it.
    command.env("NODE_PATH", "/usr/share/nodejs");
    Process::spawn("ws", &mut command)
}

type Start = fn(u16, &str) -> Process;

const BOTH: [Start; 2] = [python, node];

fn said(process: &Process, what: &str) {
    process.find(what, |line| (line == what).then_some(()));
}

#[test]
fn a_client_asks_and_closes() {
    for start in BOTH {
        let server = listen();
        let couplet = Couplet::start(&["listen:0,ws=/relay", &dial(&server)]);
        let client = start(couplet.address('A').port(), "client");
        let mut served = accept(&server);
        let mut question = [0; 15];
        served.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"questionas text");
        served.write_all(b"answer").unwrap();
        expect_end(&served);
        served.shutdown(Shutdown::Write).unwrap();
        said(&client, "came 6 code 1000");
        assert_eq!(couplet.ended(1), "finished, A first");
    }
}

#[test]
fn a_server_that_ends_closes_and_one_that_resets_closes_with_1011() {
    for start in BOTH {
        let server = listen();
        let couplet = Couplet::start(&["listen:0,ws=/relay", &dial(&server)]);
        for (resets, came) in [(false, "came 4 code 1000"), (true, "came 4 code 1011")] {
            let client = start(couplet.address('A').port(), "client");
            let mut served = accept(&server);
            served.read_exact(&mut [0; 15]).unwrap();
            served.write_all(b"some").unwrap();
            match resets {
                true => reset(served),
                false => drop(served),
            }
            said(&client, came);
        }
    }
}

#[test]
fn a_client_that_is_cut_off_resets_the_server() {
    let server = listen();
    let couplet = Couplet::start(&["listen:0,ws=/relay", &dial(&server)]);
    let _client = python(couplet.address('A').port(), "abort");
    let mut served = accept(&server);
    served.read_exact(&mut [0; 4]).unwrap();
    expect_reset(&served);
}

#[test]
fn a_server_of_theirs_is_dialled() {
    for start in BOTH {
        let server = start(0, "echo");
        let port = server.find("it serves", |line| {
            line.strip_prefix("serves ")?.parse::<u16>().ok()
        });
        let couplet = Couplet::start(&["listen:0", &format!("dial:127.0.0.1:{port},ws=/relay")]);
        let client = connect(couplet.address('A'));
        std::thread::scope(|scope| {
            scope.spawn(|| pattern::send(&client, 1, 300_000));
            pattern::expect(&client, 1, 300_000);
        });
        client.shutdown(Shutdown::Write).unwrap();
        expect_end(&client);
        said(&server, "came 300000 code 1000");
        assert_eq!(couplet.ended(1), "finished, A first");
    }
}

#[test]
fn a_protocol_that_a_client_offers_is_chosen() {
    let server = listen();
    let couplet = Couplet::start(&["listen:0,ws=/relay", &dial(&server)]);
    let client = python(couplet.address('A').port(), "offers");
    said(&client, "chose mqtt");
}

#[test]
fn compression_that_a_client_offers_is_declined() {
    let server = listen();
    let couplet = Couplet::start(&["listen:0,ws=/relay", &dial(&server)]);
    let _client = node(couplet.address('A').port(), "deflate");
    let mut question = [0; 15];
    accept(&server).read_exact(&mut question).unwrap();
    assert_eq!(&question, b"questionas text");
}
