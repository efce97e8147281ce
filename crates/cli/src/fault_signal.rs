//! SIGUSR1 switches the faults off, and on again.

use couplet_connector::layers::FaultSwitch;

/// Does so with these, from now on; with none that were given before. Where there never were any, SIGUSR1
/// ends the process, as it always does.
#[cfg(unix)]
pub(crate) fn listen(faults: Vec<FaultSwitch>) -> anyhow::Result<()> {
    use std::sync::{Mutex, OnceLock, PoisonError};

    use anyhow::Context;
    use tokio::signal::unix::{SignalKind, signal};

    static FAULTS: OnceLock<Mutex<Vec<FaultSwitch>>> = OnceLock::new();

    let is_first = FAULTS.get().is_none();
    if is_first && faults.is_empty() {
        return Ok(());
    }
    let known = FAULTS.get_or_init(Mutex::default);
    *known.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    if !is_first {
        return Ok(());
    }
    let mut signals =
        signal(SignalKind::user_defined1()).context("signals can't be listened for")?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            let faults = known.lock().unwrap_or_else(PoisonError::into_inner);
            // All are as the first is.
            let Some(on) = faults.first().map(|first| !first.is_on()) else {
                continue;
            };
            for fault in &*faults {
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
