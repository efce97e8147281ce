//! SMTP until TLS: RFC 5321, and STARTTLS of RFC 3207.

use bytes::Bytes;
use couplet_endpoint::{Io, Replay};
use couplet_layers::take_line;
use tokio::io::AsyncWriteExt;

use super::{Refusal, StartTls, StartTlsError};

/// The longest line, its end among it (RFC 5321, section 4.5.3.1).
const LINE: usize = 512;

/// The most commands of a client before TLS.
const COMMANDS: usize = 20;

/// The most lines of a server before TLS.
const LINES: usize = 100;

pub(super) async fn accept<I: Io>(io: &mut Replay<I>, name: &str) -> Result<(), Refusal> {
    say(io, &format!("220 {name} ESMTP\r\n")).await?;
    for _ in 0..COMMANDS {
        let line = match take_line(io, LINE).await.map_err(StartTlsError::from) {
            Ok(line) => line,
            Err(StartTlsError::TooLong) => {
                return Err(Refusal {
                    why: StartTlsError::TooLong,
                    reply: Some(Bytes::from_static(b"500 5.5.2 line too long\r\n")),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let has_more = verb.len() < line.trim_ascii_end().len();
        match &*verb.to_ascii_uppercase() {
            b"EHLO" => say(io, &format!("250-{name}\r\n250 STARTTLS\r\n")).await?,
            b"HELO" => say(io, &format!("250 {name}\r\n")).await?,
            b"NOOP" | b"RSET" => say(io, "250 2.0.0 ok\r\n").await?,
            b"STARTTLS" if has_more => say(io, "501 5.5.4 no parameter is allowed\r\n").await?,
            b"STARTTLS" => {
                say(io, "220 2.0.0 ready to start TLS\r\n").await?;
                return Ok(());
            }
            b"QUIT" => {
                return Err(Refusal {
                    why: StartTlsError::NotWanted("it leaves"),
                    reply: Some(Bytes::from_static(b"221 2.0.0 bye\r\n")),
                });
            }
            b"MAIL" | b"RCPT" | b"DATA" | b"AUTH" | b"VRFY" | b"EXPN" | b"BDAT" | b"ETRN" => {
                say(io, "530 5.7.0 must issue a STARTTLS command first\r\n").await?;
            }
            _ => say(io, "500 5.5.1 unknown command\r\n").await?,
        }
    }
    Err(Refusal {
        why: StartTlsError::TooLong,
        reply: Some(Bytes::from_static(b"421 4.7.0 too many commands\r\n")),
    })
}

pub(super) async fn connect<I: Io>(io: &mut Replay<I>, name: &str) -> Result<(), StartTlsError> {
    let mut room = LINES;
    let greeting = answer(io, &mut room).await?;
    expect(&greeting, 220)?;
    say(io, &format!("EHLO {name}\r\n")).await?;
    let hello = answer(io, &mut room).await?;
    expect(&hello, 250)?;
    if !hello.has_starttls {
        return Err(StartTlsError::NotOffered(
            "STARTTLS is not among its extensions".into(),
        ));
    }
    say(io, "STARTTLS\r\n").await?;
    let ready = answer(io, &mut room).await?;
    expect(&ready, 220)
}

/// What a server says.
struct Answer {
    code: u16,
    /// The last line.
    text: String,
    has_starttls: bool,
}

/// Reads an answer of one or several lines: `250-…`, then `250 …`.
async fn answer<I: Io>(io: &mut Replay<I>, room: &mut usize) -> Result<Answer, StartTlsError> {
    let foreign = || StartTlsError::Foreign(StartTls::Smtp);
    let mut has_starttls = false;
    loop {
        *room = room.checked_sub(1).ok_or(StartTlsError::TooLong)?;
        let line = take_line(io, LINE).await?;
        let digits = line
            .get(..3)
            .filter(|code| code.iter().all(u8::is_ascii_digit));
        let code = digits.and_then(|code| str::from_utf8(code).ok()?.parse().ok());
        let code = code.ok_or_else(foreign)?;
        let text = line.get(4..).unwrap_or_default().trim_ascii();
        has_starttls |= text.eq_ignore_ascii_case(b"STARTTLS");
        match line.get(3) {
            Some(b'-') => {}
            None | Some(b' ') => {
                let text = text.escape_ascii().to_string();
                return Ok(Answer {
                    code,
                    text,
                    has_starttls,
                });
            }
            Some(_) => return Err(foreign()),
        }
    }
}

fn expect(answer: &Answer, code: u16) -> Result<(), StartTlsError> {
    match answer.code == code {
        true => Ok(()),
        false => {
            let said = format!("{} {}", answer.code, answer.text);
            Err(StartTlsError::NotOffered(said.trim_end().to_owned()))
        }
    }
}

async fn say<I: Io>(io: &mut Replay<I>, line: &str) -> Result<(), StartTlsError> {
    io.write_all(line.as_bytes()).await?;
    Ok(io.flush().await?)
}
