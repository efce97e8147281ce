//! Reads the head of an HTTP request or answer.

use std::io;

use couplet_endpoint::{Io, Replay};
use httparse::Header;

/// The longest head, with all before it.
pub(crate) const LONGEST: usize = 8192;

/// The most fields of a head.
pub(crate) const FIELDS: usize = 100;

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum NoHead {
    Ended,
    TooLong,
    Invalid(httparse::Error),
    Io(io::Error),
}

/// A head of a request or an answer, as httparse reads it: `None` while more bytes are needed.
pub(crate) type Parsed<T> = Result<Option<(T, usize)>, httparse::Error>;

/// Reads until there is a head, takes it, and leaves what follows. Reads at most `limit` bytes.
pub(crate) async fn take<I: Io, T>(
    io: &mut Replay<I>,
    limit: usize,
    parse: fn(&[u8]) -> Parsed<T>,
) -> Result<(T, usize), NoHead> {
    loop {
        if !io.ahead().is_empty()
            && let Some((head, len)) = parse(io.ahead()).map_err(NoHead::Invalid)?
        {
            if len > limit {
                return Err(NoHead::TooLong);
            }
            io.consume(len);
            return Ok((head, len));
        }
        if io.ahead().len() >= limit {
            return Err(NoHead::TooLong);
        }
        if io.read_ahead(limit).await.map_err(NoHead::Io)? == 0 {
            return Err(NoHead::Ended);
        }
    }
}

/// Is it of this name?
pub(crate) fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// The only field of this name.
pub(crate) fn field(fields: &[Header<'_>], name: &str) -> Option<Vec<u8>> {
    let mut found = fields.iter().filter(|field| is(field, name));
    let value = found.next()?.value.to_vec();
    found.next().is_none().then_some(value)
}
