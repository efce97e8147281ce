//! What splicing leaves open. One test, because it counts the descriptors of the whole process.

#![cfg(target_os = "linux")]

mod helper;

use std::{fs, io};

use couplet_endpoint::Side;
use couplet_pairing::CloseReason;
use couplet_relay::{Relay, RelayError, Summary};
use helper::{MIB, join, spawn, tcp_connection, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

fn descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// A pair that has spliced, and is idle now.
async fn after_a_burst() -> io::Result<(
    TcpStream,
    TcpStream,
    JoinHandle<Result<Summary, RelayError>>,
)> {
    let (mut this, this_io) = tcp_connection().await;
    let (mut other, other_io) = tcp_connection().await;
    let (_, relaying) = spawn(Relay::new(), join(Side::A, this_io, other_io));
    let (sent, mut heard) = (vec![1; 4 * MIB], vec![0; 4 * MIB]);
    tokio::try_join!(this.write_all(&sent), other.read_exact(&mut heard))?;
    Ok((this, other, relaying))
}

/// A pair that is closed while bytes wait in its pipe.
async fn cut_while_stuck() -> io::Result<()> {
    let (mut this, this_io) = tcp_connection().await;
    let (_other, other_io) = tcp_connection().await;
    let (session, relaying) = spawn(Relay::new(), join(Side::A, this_io, other_io));
    let more_than_fits = vec![1; 64 * MIB];
    let close = async {
        until(|| session.meter().bytes(Side::A) > MIB as u64).await;
        session.close(CloseReason::Closed);
    };
    let (sent, ()) = tokio::join!(this.write_all(&more_than_fits), close);
    assert!(sent.is_err());
    relaying.await.map(drop).map_err(io::Error::other)
}

#[tokio::test]
async fn no_descriptor_outlives_its_use() {
    let _first = after_a_burst().await.unwrap();
    let before = descriptors().unwrap();

    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(after_a_burst().await.unwrap());
    }
    // Two of the pair's and two of its peers'; of pipes, those that the thread keeps.
    assert_eq!(descriptors().unwrap() - before, idle.len() * 4);

    for _ in 0..20 {
        cut_while_stuck().await.unwrap();
    }
    drop(idle);
    until(|| descriptors().unwrap() <= before).await;
}
