//! Parts that the ios of several layers share.

use std::{io, mem};

/// Returns the error, and leaves one of the same kind: an io fails once with all that is known, and then
/// again and again by the kind.
pub(crate) fn tell(error: &mut io::Error) -> io::Error {
    let again = error.kind().into();
    mem::replace(error, again)
}

/// The same of an end of stream, which may be clean.
pub(crate) fn tell_end(end: &mut io::Result<()>) -> io::Result<()> {
    match end {
        Ok(()) => Ok(()),
        Err(error) => Err(tell(error)),
    }
}
