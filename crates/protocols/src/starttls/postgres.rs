//! PostgreSQL's `SSLRequest`: the chapter "Message Flow" of its documentation.

use bytes::{BufMut, Bytes, BytesMut};
use couplet_endpoint::{Io, Replay};
use tokio::io::AsyncWriteExt;

use super::{Refusal, StartTls, StartTlsError};

/// The length, and the code.
const REQUEST: usize = 8;

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// The major version of the protocol, in the upper half.
const VERSION: u32 = 3;

/// The first byte of a record of TLS that holds a handshake.
const TLS: u8 = 0x16;

pub(super) async fn accept<I: Io>(io: &mut Replay<I>) -> Result<(), Refusal> {
    let mut has_asked_gss = false;
    loop {
        let Some((len, code)) = request(io, !has_asked_gss).await? else {
            // `sslnegotiation=direct`.
            return Ok(());
        };
        match (len, code) {
            (8, SSL) => {
                io.consume(REQUEST);
                say(io, b"S").await?;
                return Ok(());
            }
            (8, GSS) if !has_asked_gss => {
                io.consume(REQUEST);
                has_asked_gss = true;
                say(io, b"N").await?;
            }
            (16, CANCEL) => {
                let why = "it sends the cancellation of a query in the clear";
                return Err(StartTlsError::NotWanted(why).into());
            }
            (_, code) if code >> 16 == VERSION => {
                return Err(Refusal {
                    why: StartTlsError::NotWanted("it logs in in the clear"),
                    reply: Some(error("28000", "this server wants TLS: sslmode=require")),
                });
            }
            _ => return Err(StartTlsError::Foreign(StartTls::Postgres).into()),
        }
    }
}

/// The next request, which is not taken; `None` where TLS begins at once.
async fn request<I: Io>(
    io: &mut Replay<I>,
    may_be_tls: bool,
) -> Result<Option<(u32, u32)>, StartTlsError> {
    loop {
        match io.ahead() {
            [TLS, ..] if may_be_tls => return Ok(None),
            [a, b, c, d, e, f, g, h, ..] => {
                let len = u32::from_be_bytes([*a, *b, *c, *d]);
                return Ok(Some((len, u32::from_be_bytes([*e, *f, *g, *h]))));
            }
            _ => {}
        }
        if io.read_ahead(REQUEST).await? == 0 {
            return Err(StartTlsError::Ended);
        }
    }
}

pub(super) async fn connect<I: Io>(io: &mut Replay<I>) -> Result<(), StartTlsError> {
    let mut request = BytesMut::with_capacity(REQUEST);
    request.put_u32(8);
    request.put_u32(SSL);
    say(io, &request).await?;
    // And not a byte more: what follows is TLS.
    if io.read_ahead(1).await? == 0 {
        return Err(StartTlsError::Ended);
    }
    let answer = io.ahead()[0];
    io.consume(1);
    match answer {
        b'S' => Ok(()),
        b'N' => Err(StartTlsError::NotOffered("its `ssl` is off".into())),
        b'E' => Err(StartTlsError::NotOffered("it answers with an error".into())),
        _ => Err(StartTlsError::Foreign(StartTls::Postgres)),
    }
}

async fn say<I: Io>(io: &mut Replay<I>, bytes: &[u8]) -> Result<(), StartTlsError> {
    io.write_all(bytes).await?;
    Ok(io.flush().await?)
}

/// An ErrorResponse: the severity, twice, the code (SQLSTATE) and the message.
fn error(code: &str, message: &str) -> Bytes {
    let mut fields = BytesMut::new();
    for (field, value) in [('S', "FATAL"), ('V', "FATAL"), ('C', code), ('M', message)] {
        fields.put_u8(field as u8);
        fields.put_slice(value.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut response = BytesMut::new();
    response.put_u8(b'E');
    // A length of few bytes, its own four among them.
    response.put_u32(fields.len() as u32 + 4);
    response.put(fields);
    response.freeze()
}
