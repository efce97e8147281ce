use std::time::SystemTime;

use couplet_pairing::SessionId;

/// A message from a conversation to the thread that writes.
#[derive(Debug)]
pub(super) enum Message {
    /// Blocks of a pcapng file.
    Packets {
        session: SessionId,
        begun: SystemTime,
        blocks: Vec<u8>,
    },
    /// The session has ended.
    End(SessionId),
}

// ===== impl Message =====

impl Message {
    /// The room that the message takes in the queue.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packets { blocks, .. } => blocks.len(),
            Self::End(_) => 1,
        }
    }
}
