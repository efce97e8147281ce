//! How streams end.

use couplet_endpoint::{BoxIo, Io};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bytes::{hears, noise, wrote};
use crate::{
    Trial,
    rig::{Broken, End, chain, soon},
    wire::Cut,
};

/// Hears this, and then the end.
async fn hears_all(io: &mut BoxIo, expected: &[u8]) -> Result<(), Broken> {
    hears(io, expected).await?;
    match soon("the end of the stream", io.read(&mut [0; 16])).await? {
        Ok(0) => Ok(()),
        Ok(_) => Err("there is more than was sent".into()),
        Err(error) => Err(format!("a failure instead of the end: {}", chain(&error))),
    }
}

/// Hears this, and then no end, but a failure.
async fn hears_and_fails(io: &mut BoxIo, expected: &[u8]) -> Result<(), Broken> {
    hears(io, expected).await?;
    match soon("a failure", io.read(&mut [0; 16])).await? {
        Ok(0) => Err("it looks like an end of the stream".into()),
        Ok(_) => Err("there is more than was sent".into()),
        Err(_) => Ok(()),
    }
}

pub(super) async fn half_close(trial: &Trial) -> Result<(), Broken> {
    let (question, answer) = (noise(1, 10_000), noise(2, 20_000));
    for end in End::BOTH {
        let mut ends = trial.rig.open(Cut::Not).await?;
        let (first, second) = ends.of(end);
        wrote(first.write_all(&question).await)?;
        let shutdown = soon("a shutdown", first.shutdown()).await?;
        shutdown.map_err(|error| format!("{end} can't shut down: {}", chain(&error)))?;
        let heard = hears_all(second, &question).await;
        heard.map_err(|why| format!("{end} ended its stream: {why}"))?;
        let answers = async {
            wrote(second.write_all(&answer).await)?;
            second
                .shutdown()
                .await
                .map_err(|error| format!("the other can't shut down: {}", chain(&error)))
        };
        let both = futures::future::try_join(answers, hears_all(first, &answer));
        let heard = soon("an answer", both).await?;
        heard.map_err(|why| format!("{end} had ended its stream, and the other answers: {why}"))?;
    }
    Ok(())
}

pub(super) async fn resets(trial: &Trial) -> Result<(), Broken> {
    let last = noise(1, 1000);
    for end in End::BOTH {
        let mut ends = trial.rig.open(Cut::Not).await?;
        wrote(ends.far.write_all(&last).await)?;
        wrote(ends.far.flush().await)?;
        wrote(ends.near.write_all(&last).await)?;
        wrote(ends.near.flush().await)?;
        hears(ends.of(end).0, &last).await?;
        let (mut this, mut other) = match end {
            End::Near => (ends.near, ends.far),
            End::Far => (ends.far, ends.near),
        };
        this.abort();
        drop(this);
        let heard = hears_and_fails(&mut other, &last).await;
        heard.map_err(|why| format!("a reset by {end}: {why}"))?;
    }
    Ok(())
}

pub(super) async fn cut_streams(trial: &Trial) -> Result<(), Broken> {
    let last = noise(1, 1000);
    for bytes in [&last[..], b""] {
        let mut ends = trial.rig.open(Cut::Not).await?;
        wrote(ends.far.write_all(bytes).await)?;
        wrote(ends.far.flush().await)?;
        let (far, mut near) = (ends.far, ends.near);
        // The wire ends, without what the format says at its end.
        drop(far);
        let heard = hears_and_fails(&mut near, bytes).await;
        heard.map_err(|why| format!("the wire ends early: {why}"))?;
    }
    Ok(())
}
