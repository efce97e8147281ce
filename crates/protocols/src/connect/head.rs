//! The fields of a CONNECT request and of its answer.

use httparse::{EMPTY_HEADER, Header, Status};

use crate::http_head::{FIELDS, Parsed, field, is};

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
