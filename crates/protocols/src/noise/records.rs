//! The records that follow the handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BytesMut};
use couplet_endpoint::BoxError;
use couplet_layers::Transform;
use snow::TransportState;
use thiserror::Error;

/// The length of the length before a message.
pub(super) const LENGTH: usize = 2;

/// The length of a message's authentication tag.
pub(super) const TAG: usize = 16;

/// The most plain bytes in a record.
const MAX: usize = 16 * 1024;

/// How much output is made before it is written.
const ENOUGH: usize = 64 * 1024;

/// The records of a direction before its key is replaced.
pub(super) const REKEY: u64 = 1 << 16;

/// The stream is not the records that were sent, whole and in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadRecord {
    /// A record has an impossible length.
    #[error("invalid record length {0}: 16 to 16400 bytes")]
    Length(usize),
    /// A record was changed on the way, or is not the next one.
    #[error("record is not authentic: changed, left out or repeated on the way")]
    NotAuthentic,
    /// The stream ended without the record that ends it.
    #[error("stream cut: the connection ended without the record that ends the stream")]
    CutOff,
    /// Bytes follow the last record.
    #[error("bytes behind the record that ends the stream")]
    AfterEnd,
}

/// The keys of both directions: two handles to one state. Both are used in one task, so that neither
/// waits for the lock.
#[derive(Clone)]
pub(super) struct Keys {
    state: Arc<Mutex<TransportState>>,
    rekey: u64,
}

/// Turns records that are read into plain bytes.
pub(super) struct Opening {
    keys: Keys,
    pub(super) ended: bool,
}

/// Turns plain bytes that are written into records.
pub(super) struct Sealing(Keys);

// ===== impl Keys =====

impl Keys {
    pub(super) fn new(state: TransportState, rekey: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            rekey,
        }
    }

    pub(super) const fn opening(self) -> Opening {
        Opening {
            keys: self,
            ended: false,
        }
    }

    pub(super) const fn sealing(self) -> Sealing {
        Sealing(self)
    }

    /// Appends a record of these bytes.
    pub(super) fn seal(&self, plain: &[u8], output: &mut BytesMut) -> Result<(), BoxError> {
        let mut state = self.lock();
        if is_due(state.sending_nonce(), self.rekey) {
            state.rekey_outgoing();
        }
        let len = plain.len() + TAG;
        let wire_len = u16::try_from(len).expect("a record is at most 16 KiB and its tag");
        output.extend_from_slice(&wire_len.to_be_bytes());
        let start = output.len();
        output.resize(start + len, 0);
        state.write_message(plain, &mut output[start..])?;
        Ok(())
    }

    /// Appends the content of a record, and returns whether the record is empty.
    pub(super) fn open(&self, record: &[u8], output: &mut BytesMut) -> Result<bool, BadRecord> {
        let mut state = self.lock();
        if is_due(state.receiving_nonce(), self.rekey) {
            state.rekey_incoming();
        }
        let start = output.len();
        output.resize(start + record.len() - TAG, 0);
        match state.read_message(record, &mut output[start..]) {
            Ok(len) => Ok(len == 0),
            Err(_) => {
                output.truncate(start);
                Err(BadRecord::NotAuthentic)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, TransportState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both ends count records alike, so both replace the key at the same one.
const fn is_due(nonce: u64, rekey: u64) -> bool {
    nonce > 0 && nonce.is_multiple_of(rekey)
}

// ===== impl Opening =====

impl Transform for Opening {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while output.len() < ENOUGH && !input.is_empty() {
            if self.ended {
                return Err(BadRecord::AfterEnd.into());
            }
            let Some(length) = input.first_chunk::<LENGTH>() else {
                break;
            };
            let len = usize::from(u16::from_be_bytes(*length));
            if !(TAG..=MAX + TAG).contains(&len) {
                return Err(BadRecord::Length(len).into());
            }
            let Some(record) = input.get(LENGTH..LENGTH + len) else {
                break;
            };
            self.ended = self.keys.open(record, output)?;
            input.advance(LENGTH + len);
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        self.transform(input, output)?;
        match self.ended && input.is_empty() {
            true => Ok(()),
            false => Err(BadRecord::CutOff.into()),
        }
    }
}

// ===== impl Sealing =====

impl Transform for Sealing {
    fn transform(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while output.len() < ENOUGH && !input.is_empty() {
            let plain = input.split_to(input.len().min(MAX));
            self.0.seal(&plain, output)?;
        }
        Ok(())
    }

    fn finish(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<(), BoxError> {
        while !input.is_empty() {
            self.transform(input, output)?;
        }
        self.0.seal(b"", output)
    }
}
