//! A transform with its input and output, for either direction.

use std::{io, mem};

use bytes::{Bytes, BytesMut};
use couplet_endpoint::BoxError;

use super::Transform;

/// The input taken at once.
pub(super) const CHUNK: usize = 16 * 1024;

/// The most input that a transform may leave untouched.
const PENDING: usize = 8 * 1024 * 1024;

/// A transform with its input and its output. The methods are called when no output is left of the
/// last call.
pub(super) struct Work<T: ?Sized> {
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    /// There may be more output without more input.
    resumable: bool,
    /// There was input since the last flush.
    unflushed: bool,
    transform: T,
}

// ===== impl Work =====

impl<T> Work<T> {
    pub(super) fn new(transform: T) -> Self {
        Self {
            input: BytesMut::new(),
            output: BytesMut::new(),
            resumable: false,
            unflushed: false,
            transform,
        }
    }
}

impl<T: Transform + ?Sized> Work<T> {
    /// Goes on with the rest of the input. Without output, more input is needed.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        match self.resumable {
            true => self.run(),
            false => Ok(()),
        }
    }

    /// Transforms the input.
    pub(super) fn run(&mut self) -> io::Result<()> {
        self.unflushed = true;
        self.transform
            .transform(&mut self.input, &mut self.output)
            .map_err(failed)?;
        self.resumable = !self.output.is_empty();
        if self.output.is_empty() && self.input.len() > PENDING {
            return Err(failed("no item ends within 8 MiB".into()));
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    /// Makes output of the bytes held back, once after each burst.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !mem::take(&mut self.unflushed) {
            return Ok(());
        }
        self.transform.flush(&mut self.output).map_err(failed)
    }

    /// Makes the last output.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.transform
            .finish(&mut self.input, &mut self.output)
            .map_err(failed)
    }

    /// The last words to the source's peer, if the transform has failed.
    pub(super) fn last_words(&mut self, error: &io::Error) -> Option<Bytes> {
        let TransformFailed(source) = error.get_ref()?.downcast_ref()?;
        self.transform.last_words(source)
    }

    /// Frees what is drained.
    pub(super) fn free_when_drained(&mut self) {
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }
}

fn failed(source: BoxError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TransformFailed(source))
}

#[derive(Debug, thiserror::Error)]
#[error("transform failed")]
struct TransformFailed(#[source] BoxError);
