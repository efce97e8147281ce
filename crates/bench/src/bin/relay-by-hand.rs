//! What one would write by hand, to be compared with: `relay-by-hand LISTEN BACKEND`.

use std::env;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut args = env::args().skip(1);
    let (Some(listen), Some(backend)) = (args.next(), args.next()) else {
        eprintln!("usage: relay-by-hand LISTEN BACKEND");
        std::process::exit(2);
    };
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let backend = backend.clone();
        tokio::spawn(async move {
            if let Err(error) = relay(client, &backend).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn relay(mut client: TcpStream, backend: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
