//! The bytes that one end sends arrive at the other.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    Trial,
    innermost::{Relays, write_vectored},
    rig::{Broken, End, Ends, Kind, chain, soon},
    wire::{Cut, WIRE},
};

/// This many bytes that no compression makes less of, different for each seed.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(super) fn wrote(result: io::Result<()>) -> Result<(), Broken> {
    result.map_err(|error| format!("a write fails: {}", chain(&error)))
}

/// Hears exactly this, and no end meanwhile.
pub(super) async fn hears(
    io: &mut (impl AsyncRead + Unpin),
    expected: &[u8],
) -> Result<(), Broken> {
    let mut heard = vec![0; expected.len()];
    let mut len = 0;
    while len < expected.len() {
        // Never the same buffer twice.
        let most = (len % 1009 + 1).min(expected.len() - len);
        let read = io.read(&mut heard[len..len + most]);
        let read = soon(&format!("{len} of {} bytes came", expected.len()), read).await?;
        match read {
            Ok(0) => {
                return Err(format!(
                    "the stream ends after {len} of {} bytes",
                    expected.len()
                ));
            }
            Ok(n) => len += n,
            Err(error) => {
                return Err(format!(
                    "the stream fails after {len} of {} bytes: {}",
                    expected.len(),
                    chain(&error)
                ));
            }
        }
    }
    let differ = |(one, other): (&u8, &u8)| one != other;
    match heard.iter().zip(expected).position(differ) {
        None => Ok(()),
        Some(at) => Err(format!("byte {at} of {len} is not what was sent")),
    }
}

/// Says this in bursts of many sizes, some of them flushed.
async fn says(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Broken> {
    let mut rest = bytes;
    let mut size = 1;
    while !rest.is_empty() {
        let (burst, later) = rest.split_at(size.min(rest.len()));
        wrote(io.write_all(burst).await)?;
        if size % 2 == 0 {
            wrote(io.flush().await)?;
        }
        rest = later;
        size = size * 7 % 4099 + 1;
    }
    wrote(io.flush().await)
}

/// Both ends speak at once, and hear each other.
async fn both_ways(ends: &mut Ends, len: usize) -> Result<(), Broken> {
    let (up, down) = (noise(1, len), noise(2, len));
    let (mut from_near, mut to_near) = tokio::io::split(&mut ends.near);
    let (mut from_far, mut to_far) = tokio::io::split(&mut ends.far);
    let all = futures::future::try_join4(
        says(&mut to_near, &up),
        says(&mut to_far, &down),
        async { far_hears(hears(&mut from_far, &up).await) },
        async { near_hears(hears(&mut from_near, &down).await) },
    );
    soon("both speak at once", all).await?.map(drop)
}

pub(super) fn far_hears(heard: Result<(), Broken>) -> Result<(), Broken> {
    heard.map_err(|why| format!("from near to far: {why}"))
}

pub(super) fn near_hears(heard: Result<(), Broken>) -> Result<(), Broken> {
    heard.map_err(|why| format!("from far to near: {why}"))
}

pub(super) async fn segmentation(trial: &Trial) -> Result<(), Broken> {
    let mut ends = trial.rig.open(Cut::Single).await?;
    both_ways(&mut ends, 3000).await?;
    for seed in 1..5 {
        let mut ends = trial.rig.open(Cut::Random(seed)).await?;
        both_ways(&mut ends, 60_000).await?;
    }
    Ok(())
}

pub(super) async fn vectored_writes(trial: &Trial) -> Result<(), Broken> {
    let (up, down) = (noise(1, 30_000), noise(2, 30_000));
    for cut in [Cut::Not, Cut::Random(1)] {
        let mut ends = trial.rig.open_with(cut, Relays::Vectored, &[]).await?;
        for (end, bytes) in End::BOTH.into_iter().zip([&up, &down]) {
            let (from, to) = ends.of(end);
            let says = async {
                // On a pair, it is the relay that writes so.
                match trial.rig.kind {
                    Kind::Side => wrote(write_vectored(from, bytes).await)?,
                    Kind::Pair => wrote(from.write_all(bytes).await)?,
                }
                wrote(from.flush().await)
            };
            let both = futures::future::try_join(says, hears(to, bytes));
            soon("vectored writes", both).await?.map(drop)?;
        }
    }
    Ok(())
}

pub(super) async fn flush(trial: &Trial) -> Result<(), Broken> {
    let mut ends = trial.rig.open(Cut::Not).await?;
    for key in noise(1, 8) {
        for end in End::BOTH {
            let (from, to) = ends.of(end);
            wrote(from.write_all(&[key]).await)?;
            wrote(from.flush().await)?;
            let heard = hears(to, &[key]).await;
            heard.map_err(|why| format!("a byte that {end} flushed: {why}"))?;
        }
    }
    Ok(())
}

pub(super) async fn slow_reader(trial: &Trial) -> Result<(), Broken> {
    let most = trial.holds + 2 * WIRE;
    let bytes = noise(3, 2 * most);
    for end in End::BOTH {
        let mut ends = trial.rig.open(Cut::Not).await?;
        let (writer, reader) = ends.of(end);
        let mut taken = 0;
        let writes = async {
            while taken < bytes.len() {
                match writer.write(&bytes[taken..]).await {
                    Ok(n) => taken += n,
                    Err(error) => return wrote(Err(error)),
                }
            }
            Ok(())
        };
        // It stalls when it has taken what it holds.
        if let Ok(written) = timeout(Duration::from_secs(1), writes).await {
            written?;
        }
        if taken > most {
            return Err(format!(
                "{taken} bytes from {end} are held, or more, while no peer reads: {} is the bound",
                trial.holds
            ));
        }
        let bytes = &bytes[..taken];
        let flushes = async { wrote(writer.flush().await) };
        let both = futures::future::try_join(flushes, hears(reader, bytes));
        let heard = soon("the reader reads again", both).await?;
        heard.map_err(|why| format!("once the reader reads again, {why}"))?;
    }
    Ok(())
}

pub(super) async fn behind_handshake(trial: &Trial) -> Result<(), Broken> {
    let early = noise(4, 1000);
    for cut in [Cut::Gathered, Cut::Not, Cut::Single] {
        let mut ends = trial.rig.open_with(cut, Relays::AsEver, &early).await?;
        near_hears(hears(&mut ends.near, &early).await)?;
        if trial.rig.kind == Kind::Pair {
            far_hears(hears(&mut ends.far, &early).await)?;
        }
    }
    Ok(())
}
