//! Noise: what a stranger says in place of a handshake, and records that were changed on their way.

use couplet_connector::{
    endpoint::{Conn, Origin, memory},
    layers::Handshake,
};
use couplet_protocols::{NoiseInitiator, NoisePsk, NoiseResponder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stranger::{End, Outcome, Stranger, run};

/// The first byte chooses between a stranger and a tunnel whose bytes an attacker changes.
pub fn noise(data: &[u8]) {
    let [kind, data @ ..] = data else {
        return;
    };
    match kind % 3 {
        0 => stranger(data, &NoiseInitiator::psk(psk())),
        1 => stranger(data, &NoiseResponder::psk(psk())),
        _ => meddled(data),
    }
}

fn psk() -> NoisePsk {
    NoisePsk::from_secret("0123456789abcdef").expect("long enough")
}

/// A peer without the secret never passes.
fn stranger<H, O>(data: &[u8], handshake: &H)
where
    O: couplet_connector::endpoint::Io,
    H: Handshake<
            Conn<crate::stranger::Scripted>,
            Output = Conn<O>,
            Error: std::error::Error + Send + Sync + 'static,
        >,
{
    let Some(stranger) = Stranger::new(data) else {
        return;
    };
    match stranger.meets(handshake, |_| {}) {
        Outcome::Passed(_) => panic!("a stranger passed"),
        Outcome::Refused(_) => {}
        Outcome::Waits => assert_eq!(stranger.end, End::Stalls),
    }
}

/// The far end reads what was sent, up to the first changed byte; and only what came
/// whole has an end.
fn meddled(data: &[u8]) {
    let [len, change @ ..] = data else {
        return;
    };
    let said: Vec<u8> = (0..u32::from(*len) * 300).map(|n| n as u8).collect();
    run(async {
        let (ours, mut near) = memory::connection(256 * 1024);
        let (mut far, theirs) = memory::connection(256 * 1024);
        let (initiator, responder) = (NoiseInitiator::psk(psk()), NoiseResponder::psk(psk()));
        let shake = async {
            tokio::join!(
                initiator.handshake(Conn::new(ours, Origin::Dialled)),
                responder.handshake(Conn::new(theirs, Origin::Accepted)),
            )
        };
        let (ours, theirs) = tokio::select! {
            shaken = shake => shaken,
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => unreachable!("both go on"),
        };
        let (mut ours, mut theirs) = (ours.expect("the secret").io, theirs.expect("the secret").io);

        ours.write_all(&said).await.expect("there is room");
        ours.shutdown().await.expect("there is room");
        let mut wire = Vec::new();
        near.read_to_end(&mut wire).await.expect("it has ended");
        let honest = wire.clone();
        meddle(&mut wire, change);
        far.write_all(&wire).await.expect("there is room");
        far.shutdown().await.expect("the peer has not reset it");

        let mut heard = Vec::new();
        let end = theirs.read_to_end(&mut heard).await;
        assert!(said.starts_with(&heard));
        assert_eq!(end.is_ok(), wire == honest);
        assert!(end.is_err() || heard == said);
    });
}

/// Changes, cuts or doubles, three bytes a change.
fn meddle(wire: &mut Vec<u8>, change: &[u8]) {
    for change in change.chunks_exact(4).take(8) {
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % (wire.len() + 1);
        match change[0] % 4 {
            0 if at < wire.len() => wire[at] ^= change[3],
            1 => wire.truncate(at),
            2 => wire.insert(at, change[3]),
            _ => wire.extend_from_within(..at.min(1024)),
        }
    }
}
