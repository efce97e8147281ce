use std::time::Duration;

use couplet_endpoint::{Io, Replay};

/// How many bytes a connection that waits may send before its turn.
const EARLY: usize = 4096;

/// How often a connection that can't be read ahead any more is asked for a reset.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the peer has gone: it has reset the connection, or ended it without a byte.
///
/// A client that sent bytes and then ended its stream may still wait for an answer. Cancel-safe:
/// bytes that came are read again.
pub(super) async fn gone<I: Io>(io: &mut Replay<I>) {
    loop {
        match io.read_ahead(EARLY).await {
            Ok(0) if io.ahead().is_empty() => return,
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return,
        }
    }
    while io.take_error().is_none() {
        tokio::time::sleep(LOOK).await;
    }
}
