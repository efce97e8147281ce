//! SIGUSR1 switches the faults off, and on again.

use couplet_connector::layers::FaultSwitch;

/// Does so, from now on. Where there are none, SIGUSR1 ends the process, as it always does.
#[cfg(unix)]
pub(crate) fn listen(faults: Vec<FaultSwitch>) -> anyhow::Result<()> {
    use anyhow::Context;
    use tokio::signal::unix::{SignalKind, signal};

    if faults.is_empty() {
        return Ok(());
    }
    let mut signals =
        signal(SignalKind::user_defined1()).context("signals can't be listened for")?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            // All are as the first is.
            let on = !faults[0].is_on();
            for fault in &faults {
                match on {
                    true => fault.on(),
                    false => fault.off(),
                }
            }
            tracing::info!("faults {}", if on { "on" } else { "off" });
        }
    });
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn listen(_: Vec<FaultSwitch>) -> anyhow::Result<()> {
    Ok(())
}
