//! What follows the handshake: records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BytesMut};
use couplet_endpoint::BoxError;
use snow::TransportState;
use thiserror::Error;

use crate::payload::transform::Transform;

/// The length of a message, before it.
pub(super) const LENGTH: usize = 2;

/// What authenticates a message.
pub(super) const TAG: usize = 16;

/// The most bytes in a record.
const MAX: usize = 16 * 1024;

/// How much output is made in one go.
const ENOUGH: usize = 64 * 1024;

/// After so many records a direction has a new key.
pub(super) const REKEY: u64 = 1 << 16;

/// What came is not the records that were sent, whole and in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadRecord {
    /// It has a length that no record has.
    #[error("a record of {0} bytes can't be")]
    Length(usize),
    /// It was changed on its way, or is not the next.
    #[error("a record is not authentic")]
    NotAuthentic,
    /// The stream has ended, and its last record does not say so.
    #[error("it was cut off: it ended without the record that says so")]
    CutOff,
    /// More came after the last record.
    #[error("something came after its end")]
    AfterEnd,
}

/// The keys of both directions: two handles to one state, in one task, which never wait for each
/// other.
#[derive(Clone)]
pub(super) struct Keys {
    state: Arc<Mutex<TransportState>>,
    rekey: u64,
}

/// What is read: records become plain bytes.
pub(super) struct Opening {
    keys: Keys,
    pub(super) ended: bool,
}

/// What is written: plain bytes become records.
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

    /// Appends what is in a record; is it the one that is empty?
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

/// Both ends count alike.
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
