//! The request for a WebSocket, and the answer to it (RFC 6455, section 4).

use httparse::{EMPTY_HEADER, Header, Status};

use crate::http_head::{FIELDS, Parsed, field, is};

/// What is needed of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) is_get: bool,
    pub(super) target: String,
    pub(super) upgrade: Upgrade,
    pub(super) version: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) host: Option<Vec<u8>>,
    /// Where there are several, none is believed.
    pub(super) origin: Vec<Vec<u8>>,
    pub(super) protocols: Vec<String>,
}

/// What is needed of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) upgrade: Upgrade,
    pub(super) accept: Option<Vec<u8>>,
    pub(super) protocols: Vec<String>,
    pub(super) has_extensions: bool,
}

/// Whether both fields are there that switch the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Upgrade {
    WebSocket,
    Missing,
}

pub(super) fn request(bytes: &[u8]) -> Parsed<Request> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Status::Complete(len) = request.parse(bytes)? else {
        return Ok(None);
    };
    let fields = &*request.headers;
    let origins = fields.iter().filter(|field| is(field, "origin"));
    let request = Request {
        is_get: request.method == Some("GET") && request.version == Some(1),
        target: request.path.unwrap_or_default().to_owned(),
        upgrade: upgrade(fields),
        version: field(fields, "sec-websocket-version"),
        key: field(fields, "sec-websocket-key"),
        host: field(fields, "host"),
        origin: origins.map(|field| field.value.to_vec()).collect(),
        protocols: protocols(fields),
    };
    Ok(Some((request, len)))
}

pub(super) fn answer(bytes: &[u8]) -> Parsed<Answer> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let Status::Complete(len) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let fields = &*answer.headers;
    let answer = Answer {
        status: answer.code.unwrap_or_default(),
        reason: answer.reason.unwrap_or_default().to_owned(),
        upgrade: upgrade(fields),
        accept: field(fields, "sec-websocket-accept"),
        protocols: protocols(fields),
        has_extensions: fields
            .iter()
            .any(|field| is(field, "sec-websocket-extensions")),
    };
    Ok(Some((answer, len)))
}

fn upgrade(fields: &[Header<'_>]) -> Upgrade {
    let has = |name, token: &str| {
        let mut tokens = tokens(fields, name);
        tokens.any(|found| found.eq_ignore_ascii_case(token))
    };
    match has("upgrade", "websocket") && has("connection", "upgrade") {
        true => Upgrade::WebSocket,
        false => Upgrade::Missing,
    }
}

fn protocols(fields: &[Header<'_>]) -> Vec<String> {
    let tokens = tokens(fields, "sec-websocket-protocol");
    let is_token = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
    tokens.filter(is_token).map(str::to_owned).collect()
}

/// The words of a list, which may be spread over several fields. What is no text is no word.
fn tokens<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .filter(move |field| is(field, name))
        .filter_map(|field| str::from_utf8(field.value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
