use std::time::SystemTime;

use couplet_pairing::SessionId;

/// What a conversation tells the thread that writes.
#[derive(Debug)]
pub(super) enum Message {
    /// Blocks of a pcapng file.
    Packets {
        session: SessionId,
        begun: SystemTime,
        blocks: Vec<u8>,
    },
    /// Nothing more comes of this session.
    End(SessionId),
}

// ===== impl Message =====

impl Message {
    /// How much room the message takes in the queue.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packets { blocks, .. } => blocks.len(),
            Self::End(_) => 1,
        }
    }
}
