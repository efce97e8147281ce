use std::io;

use couplet_endpoint::{Io, Replay};

/// Reads until this many bytes are there, and no more. `false` if the stream ends before.
pub(super) async fn fill<I: Io>(io: &mut Replay<I>, bytes: usize) -> io::Result<bool> {
    while io.ahead().len() < bytes {
        if io.read_ahead(bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
