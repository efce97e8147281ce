//! Tells the protocols apart.

use super::{
    Protocol, client_hello, http,
    look::{LIMIT, Look, Until},
};

/// RFC 4253, section 4.2.
const SSH: &[u8] = b"SSH-";

/// RFC 9113, section 3.4.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Looks at a stream's first bytes.
pub(super) fn look(bytes: &[u8]) -> Look {
    let look = match bytes {
        [] => Look::Perhaps(Until::Len(1)),
        [client_hello::RECORD, ..] => client_hello::look(bytes),
        _ if bytes.starts_with(SSH) => Look::Is(Protocol::Ssh),
        _ if bytes.starts_with(HTTP2) => Look::Is(Protocol::Http2),
        _ if SSH.starts_with(bytes) || HTTP2.starts_with(bytes) => {
            Look::Perhaps(Until::Len(bytes.len() + 1))
        }
        _ => http::look(bytes),
    };
    match look {
        Look::Perhaps(Until::Len(len)) | Look::Begun(Until::Len(len)) if len > LIMIT => {
            Look::Is(Protocol::Unknown)
        }
        look => look,
    }
}
