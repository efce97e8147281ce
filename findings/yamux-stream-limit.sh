#!/usr/bin/env bash
# The crate yamux (libp2p's) ends a whole connection when its peer opens one stream more than
# `max_num_streams`: with an internal error, and all streams that were there with it. It does not reset the
# one that is too many.
# It matters to a relay that carries many connections over one: a limit of its own has to be lower than
# yamux's, and each end has to leave room, as the one may not know yet that a stream is over for the other.
set -euo pipefail
command -v cargo >/dev/null || { echo "this needs cargo" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "limit"
version = "0.0.0"
edition = "2021"

[dependencies]
futures = "=0.3.31"
futures_ringbuf = "=0.4.0"
yamux = "=0.14.1"

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use futures::{executor::LocalPool, future::poll_fn, task::LocalSpawnExt, AsyncReadExt, AsyncWriteExt};
use futures_ringbuf::Endpoint;
use yamux::{Config, Connection, Mode};

const STREAMS: usize = 4;

fn main() {
    let (near, far) = Endpoint::pair(65536, 65536);
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let serving = pool.spawner();
    spawner
        .spawn_local(async move {
            let mut config = Config::default();
            config.set_max_connection_receive_window(None).set_max_num_streams(STREAMS);
            let mut conn = Connection::new(far, config, Mode::Server);
            loop {
                match poll_fn(|cx| conn.poll_next_inbound(cx)).await {
                    Some(Ok(mut stream)) => {
                        // Each is answered, and stays open.
                        let answers = async move {
                            let mut byte = [0];
                            while stream.read_exact(&mut byte).await.is_ok() {
                                if stream.write_all(&byte).await.is_err() {
                                    break;
                                }
                            }
                        };
                        serving.spawn_local(answers).unwrap();
                    }
                    ended => break println!("the server's end: {ended:?}"),
                }
            }
        })
        .unwrap();
    let lost = pool.run_until(async move {
        let mut conn = Connection::new(near, Config::default(), Mode::Client);
        let mut streams = Vec::new();
        for number in 0..=STREAMS {
            let mut stream = poll_fn(|cx| conn.poll_new_outbound(cx)).await.unwrap();
            let asked = async {
                stream.write_all(b"x").await?;
                stream.read_exact(&mut [0]).await
            };
            let asked = {
                let asked = std::pin::pin!(asked);
                let driven = poll_fn(|cx| conn.poll_next_inbound(cx));
                match futures::future::select(asked, std::pin::pin!(driven)).await {
                    futures::future::Either::Left((answer, _)) => answer.is_ok(),
                    futures::future::Either::Right((ended, _)) => {
                        println!("the client's end: {ended:?}");
                        false
                    }
                }
            };
            println!("stream {}: {}", number + 1, if asked { "answered" } else { "not answered" });
            streams.push(stream);
        }
        let mut lost = 0;
        for stream in &mut streams[..STREAMS] {
            // A clean end, though no peer has ended it.
            lost += usize::from(matches!(stream.read(&mut [0]).await, Ok(0)));
        }
        lost
    });
    println!("of {STREAMS} streams that were there, {lost} are lost, and each reads a clean end");
    std::process::exit(i32::from(lost != STREAMS));
}
RUST
cd "$folder"
echo "yamux 0.14.1, $(cargo --version)"
CARGO_TARGET_DIR="$folder/target" cargo run --quiet
