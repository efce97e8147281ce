//! Asks an HTTP service whether a client may come in, by the client's address and first line. The
//! handshake is an async closure, so a database or a program could answer just as well.
//!
//! ```sh
//! ncat --listen --keep-open 127.0.0.1 8080 -c 'read request; echo HTTP/1.0 200 OK'   # the service: 403 refuses
//! cargo run -p couplet-examples --example outside_verdict     # in a second terminal: 9000, 8000, asks 8080
//! ncat 127.0.0.1 9000     # in a third: type a line; without an answer of the service the client is reset
//! ncat 127.0.0.1 8000     # in a fourth: clients of side B are not checked
//! ```

use std::{env, io, sync::Arc, time::Duration};

use couplet_connector::{
    BoxError, Conn, Connector, Listen, Side,
    endpoint::{BoxIo, Info, Replay},
    layers::{Attempts, AttemptsLayer, HandshakeLayer, Identity, take_line},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// The service: stands for an HTTP client, a pool of database connections, and so on.
struct Service {
    address: String,
}

impl Service {
    /// The identity of the client; an error refuses the client.
    async fn verdict(&self, info: &Info, line: &[u8]) -> Result<Identity, BoxError> {
        let head = format!(
            "POST /verdict HTTP/1.0\r\nForwarded: for=\"{}\"\r\nContent-Length: {}\r\n\r\n",
            info.peer_name(),
            line.len()
        );
        let mut stream = TcpStream::connect(&*self.address).await?;
        // The client's line goes into the body, where it can't be taken for a header.
        stream.write_all(&[head.as_bytes(), line].concat()).await?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).await?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(Identity::new(String::from_utf8_lossy(line).into_owned())),
            Some("403") => Err("the service says no".into()),
            _ => Err(io::Error::other("the service has no answer").into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = env::args().skip(1);
    let mut arg = |default: &str| args.next().unwrap_or_else(|| default.into());
    let a = Listen::bind(&*arg("127.0.0.1:9000")).await?;
    let b = Listen::bind(&*arg("127.0.0.1:8000")).await?;
    let service = Arc::new(Service {
        address: arg("127.0.0.1:8080"),
    });

    // The closure runs for each connection.
    let verdict = move |conn: Conn<BoxIo>| {
        let service = Arc::clone(&service);
        async move {
            let mut conn = conn.map_io(Replay::new);
            let line = take_line(&mut conn.io, 1024).await?;
            let identity = service.verdict(&conn.info, &line).await?;
            identity.put_into(&mut conn.info);
            Ok::<_, BoxError>(conn)
        }
    };

    let connector = Connector::listen_listen(a, b)
        // Refuses an address without a question after ten refusals in a minute. A failure of the
        // service does not count.
        .layer_a(
            AttemptsLayer::new(Attempts::new(10, Duration::from_secs(60)))
                .counts_if(|error| !couplet_connector::endpoint::is_caused_by::<io::Error>(error)),
        )
        // The timeout covers the line and the verdict.
        .layer_a(HandshakeLayer::new(verdict).timeout(Some(Duration::from_secs(5))))
        .on_join(|session| {
            let identity = session.info(Side::A).extensions.get::<Identity>();
            println!("{} was let in", identity.expect("the verdict put it there"));
        })
        .start();

    for side in [Side::A, Side::B] {
        println!("{side} listens on {}", connector.local_addr(side)?);
    }
    Ok(connector.done().await?)
}
