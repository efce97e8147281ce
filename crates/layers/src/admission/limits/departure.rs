use std::time::Duration;

use couplet_endpoint::{Io, Replay};

/// The most bytes read from a waiting connection.
const EARLY: usize = 4096;

/// How often a connection whose early bytes are at the bound is checked for a reset.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the peer is gone: until a reset, or an end of stream without a byte before it.
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
