//! Bulk: one way, or both at once.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::{
    backend::Backend,
    bytes::{discard, read_away, send, write_out},
    client::Client,
    control::Control,
    outcome::Outcome,
};

/// What part of the work is done before, to warm up.
const WARM: u64 = 16;

/// How many bytes go to the backend, and how many come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volume {
    pub(super) up: u64,
    pub(super) down: u64,
}

pub(super) async fn run(
    mut control: Control,
    connections: usize,
    up: u64,
    down: u64,
) -> anyhow::Result<()> {
    let work = Volume { up, down };
    let warm = Volume {
        up: up / WARM,
        down: down / WARM,
    };
    let serve = move |stream| serve(stream, [warm, work]);
    let backend = Backend::start(&control.setting, serve)?;
    let relay = control.clients(backend.addr).await?;
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(relay.connect().await?);
    }
    let clients = all(clients, warm).await?;
    control.warm().await?;

    let begin = Instant::now();
    let clients = all(clients, work).await?;
    let bytes = clients.len() as u64 * (up + down);
    let outcome = Outcome::new(bytes, begin.elapsed());
    control.done(&outcome).await
}

async fn all(clients: Vec<Client>, volume: Volume) -> anyhow::Result<Vec<Client>> {
    let mut exchanges = JoinSet::new();
    for mut client in clients {
        exchanges.spawn(async move {
            exchange(&mut client, volume).await?;
            io::Result::Ok(client)
        });
    }
    let mut clients = Vec::with_capacity(exchanges.len());
    while let Some(client) = exchanges.join_next().await {
        clients.push(client??);
    }
    Ok(clients)
}

/// The client's part. It ends when the backend has all.
pub(super) async fn exchange(stream: &mut Client, volume: Volume) -> io::Result<()> {
    match stream {
        Client::Plain(stream) => {
            tokio::try_join!(send(stream, volume.up), discard(stream, volume.down))?;
        }
        Client::Tls(stream) => {
            let (mut from, mut to) = tokio::io::split(&mut **stream);
            let (up, down) = (
                write_out(&mut to, volume.up),
                read_away(&mut from, volume.down),
            );
            tokio::try_join!(up, down)?;
        }
    }
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

/// The backend's part: one exchange after the other, and then it waits for the end.
pub(super) async fn serve(
    mut stream: TcpStream,
    volumes: impl IntoIterator<Item = Volume>,
) -> io::Result<()> {
    for volume in volumes {
        tokio::try_join!(discard(&stream, volume.up), send(&stream, volume.down))?;
        stream.write_all(&[0]).await?;
    }
    stream.read_exact(&mut [0]).await?;
    Ok(())
}
