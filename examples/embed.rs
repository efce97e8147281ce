//! A relay inside a service of your own: HTTP beside it for statistics and for ending a session, a log,
//! a drain at SIGTERM, and tests without sockets. `docs/embed.md` explains it.
//!
//! ```sh
//! ncat --listen --keep-open 127.0.0.1 8000            # the server
//! cargo run -p couplet-examples --example embed       # in a second terminal
//! ncat 127.0.0.1 9000                                 # in a third
//! curl -s localhost:9090/stats                        # in a fourth
//! curl -s -X DELETE localhost:9090/sessions/1
//! ```

use std::{env, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get},
};
use couplet_connector::{
    BoxError, Connector, Dial, Handle, Listen,
    endpoint::{Endpoint, Info},
    layers::{IdleTimeoutLayer, Snapshot},
    pairing::CloseReason,
    stack::Dials,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

const HOUR: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(30);

fn relay(listen: impl Endpoint, dial: impl Dials<Info>) -> Handle {
    Connector::listen_dial(listen, dial)
        .layer_pair(IdleTimeoutLayer::new(HOUR))
        .start()
}

fn admin(relay: Handle) -> Router {
    Router::new()
        .route("/stats", get(stats))
        .route("/sessions/{id}", delete(end_session))
        .with_state(relay)
}

async fn stats(State(relay): State<Handle>) -> Json<Snapshot> {
    Json(relay.snapshot())
}

async fn end_session(State(relay): State<Handle>, Path(id): Path<u64>) -> StatusCode {
    match relay.session(id.into()) {
        Some(session) => {
            session.close(CloseReason::Closed);
            StatusCode::NO_CONTENT
        }
        None => StatusCode::NOT_FOUND,
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let listen = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let dial = Dial::to(&arg("127.0.0.1:8000"))?;
    let http = TcpListener::bind(arg("127.0.0.1:9090")).await?;

    println!("A listens on {}", listen.local_addr());
    println!("HTTP listens on {}", http.local_addr()?);
    let relay = relay(listen, dial);

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = async { axum::serve(http, admin(relay.clone())).await } => served?,
        ended = relay.done() => ended?,
        _ = terminate.recv() => {}
    }
    relay.shutdown(GRACE).await;
    relay.done().await?;
    println!("drained after {} pairs", relay.snapshot().total_pairs);
    Ok(())
}

#[cfg(test)]
mod tests {
    use couplet_connector::endpoint::memory;
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_pair_ends_after_an_hour() -> Result<(), BoxError> {
        let (clients, listen) = memory::endpoint();
        let (dial, mut servers) = memory::endpoint();
        let relay = relay(listen, dial);

        let mut client = clients.connect().await?;
        client.write_all(b"hello").await?;
        let mut server = servers.next().await.expect("the relay dials")?.io;
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"hello");

        // The clock is paused: the hour passes at once.
        let cut = client.read(&mut [0]).await;
        assert!(cut.is_err(), "a pair that is cut is reset");
        assert_eq!(relay.snapshot().total_pairs, 1);
        relay.shutdown(GRACE).await;
        Ok(relay.done().await?)
    }
}
