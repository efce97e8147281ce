//! Tests a client on a bad network: a relay between the client and its server delays answers and breaks
//! some connections, and the client has to try again.
//!
//! ```sh
//! cargo run -p couplet-examples --example faults
//! ```

use std::{io, time::Duration};

use couplet_connector::{
    BoxError, Connector, Dial, Listen, Side,
    layers::{Fault, FaultLayer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// The client under test: tries again when a connection breaks.
async fn ask(server: std::net::SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    for attempt in 1..=20 {
        let answer = async {
            let mut connection = TcpStream::connect(server).await?;
            connection.write_all(question).await?;
            let mut answer = vec![0; question.len()];
            connection.read_exact(&mut answer).await?;
            io::Result::Ok(answer)
        };
        match answer.await {
            Ok(answer) => {
                println!("attempt {attempt}: it answers");
                return Ok(answer);
            }
            Err(error) => println!("attempt {attempt}: {error}"),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The server: echoes.
async fn echo(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut connection, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut hears, mut says) = connection.split();
            tokio::io::copy(&mut hears, &mut says).await
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let target = server.local_addr()?.to_string();
    tokio::spawn(echo(server));

    let late = FaultLayer::new(Fault::Latency {
        delay: Duration::from_millis(200),
        jitter: Duration::from_millis(50),
    });
    // Half of the connections break in the middle of the answer; the seed determines which.
    let flaky = FaultLayer::new(Fault::Reset { after: 3 })
        .only(Side::B)
        .probability(0.5)
        .seed(7);
    let (latency, breaks) = (late.switch(), flaky.switch());
    breaks.off();

    let relay = Connector::listen_dial(Listen::bind("127.0.0.1:0").await?, Dial::to(&target)?)
        .layer_pair(late)
        .layer_pair(flaky)
        .start();
    let network = relay.local_addr(Side::A)?.tcp().expect("it listens on TCP");

    let asked = Instant::now();
    ask(network, b"anybody there?").await?;
    println!("late: {}", asked.elapsed() >= Duration::from_millis(300));

    latency.off();
    breaks.on();
    for _ in 0..5 {
        ask(network, b"anybody there?").await?;
    }

    breaks.off();
    ask(network, b"anybody there?").await?;
    println!("done");
    relay.close().await;
    Ok(())
}
