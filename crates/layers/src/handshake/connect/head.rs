//! The heads of requests and answers.

use std::io;

use couplet_endpoint::{Io, Replay};
use httparse::{EMPTY_HEADER, Header, Status};

/// The longest head, with all before it.
pub(super) const LONGEST: usize = 8192;

/// The most fields of a head.
const FIELDS: usize = 100;

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    Ended,
    TooLong,
    Invalid(httparse::Error),
    Io(io::Error),
}

/// A head of a request or an answer, as httparse reads it: `None` while more bytes are needed.
pub(super) type Parsed<T> = Result<Option<(T, usize)>, httparse::Error>;

/// Reads until there is a head, takes it, and leaves what follows. Reads at most `limit` bytes.
pub(super) async fn take<I: Io, T>(
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

/// What is needed of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) is_connect: bool,
    pub(super) target: Vec<u8>,
    pub(super) authorization: Option<Vec<u8>>,
}

pub(super) fn request(bytes: &[u8]) -> Parsed<Request> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Status::Complete(len) = request.parse(bytes)? else {
        return Ok(None);
    };
    let target = request.path.unwrap_or_default().into();
    let is_connect = request.method == Some("CONNECT");
    let authorization = field(request.headers, "proxy-authorization");
    Ok(Some((
        Request {
            is_connect,
            target,
            authorization,
        },
        len,
    )))
}

/// What is needed of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
    /// It asks for the `Basic` scheme, or for none in particular.
    pub(super) wants_basic: bool,
}

pub(super) fn answer(bytes: &[u8]) -> Parsed<Answer> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let Status::Complete(len) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let mut asks = answer
        .headers
        .iter()
        .filter(|field| is(field, "proxy-authenticate"));
    let is_basic = |field: &Header<'_>| {
        let scheme = field.value.get(..5).unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"basic")
    };
    let wants_basic = asks.clone().next().is_none() || asks.any(is_basic);
    let status = answer.code.unwrap_or_default();
    let reason = answer.reason.unwrap_or_default().to_owned();
    Ok(Some((
        Answer {
            status,
            reason,
            wants_basic,
        },
        len,
    )))
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// The only field of this name.
fn field(fields: &[Header<'_>], name: &str) -> Option<Vec<u8>> {
    let mut found = fields.iter().filter(|field| is(field, name));
    let value = found.next()?.value.to_vec();
    found.next().is_none().then_some(value)
}
