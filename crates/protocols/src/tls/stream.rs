//! A session on its wire.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use couplet_endpoint::Io;
use tokio::io::{AsyncWrite, ReadBuf};

use super::{
    records::{Incoming, Outgoing},
    rustls,
    session::{Saying, Session, Step},
    wire::Wire,
};
use crate::{shared_io::Ahead, sniff};

/// The most that is encrypted at once.
const TEXT: usize = 64 * 1024;

/// A session, and the wire that carries its records. Idle, it holds no records.
pub(super) struct Stream<I> {
    wire: Wire<I>,
    session: Session,
    incoming: Incoming,
    outgoing: Outgoing,
    /// What a reader had no room for.
    heard: Ahead,
    peer_ended: bool,
    said_goodbye: bool,
    /// Once the session has failed, it can say no more than its alert.
    failure: Option<rustls::Error>,
}

/// Puts as many bytes as there is room for.
fn put(bytes: &[u8], buf: &mut ReadBuf<'_>) -> usize {
    let n = bytes.len().min(buf.remaining());
    buf.put_slice(&bytes[..n]);
    n
}

// ===== impl Stream =====

impl<I> Stream<I> {
    pub(super) fn new(wire: Wire<I>, session: Session) -> Self {
        Self {
            wire,
            session,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            heard: Ahead::default(),
            peer_ended: false,
            said_goodbye: false,
            failure: None,
        }
    }

    pub(super) const fn wire(&self) -> &Wire<I> {
        &self.wire
    }

    pub(super) const fn wire_mut(&mut self) -> &mut Wire<I> {
        &mut self.wire
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    /// Has nothing come behind the last whole record?
    pub(super) fn is_between_records(&self) -> bool {
        self.incoming.is_empty()
    }

    fn has_record_within(&mut self, room: usize) -> bool {
        self.incoming.has_record_within(room)
    }

    fn step(&mut self, heard: &mut dyn FnMut(&[u8])) -> io::Result<Step> {
        if let Some(failure) = &self.failure {
            return Err(io_error(failure.clone()));
        }
        let step = self
            .session
            .step(&mut self.incoming, &mut self.outgoing, heard);
        step.map_err(|error| self.fail(error))
    }

    fn fail(&mut self, error: rustls::Error) -> io::Error {
        self.session.say_own(&mut self.outgoing);
        self.failure = Some(error.clone());
        io_error(error)
    }
}

impl<I: Io> Stream<I> {
    /// The server name (SNI) that the client asks for. Comes before the handshake.
    pub(super) async fn server_name(&mut self) -> io::Result<Option<Box<str>>> {
        loop {
            let needed = match sniff::server_name(self.incoming.all()) {
                Ok(name) => return Ok(name),
                Err(needed) => needed,
            };
            while self.incoming.all().len() < needed {
                self.fill().await?;
            }
        }
    }

    /// Shakes hands, until all is sent that belongs to it.
    pub(super) async fn shake(&mut self) -> io::Result<()> {
        while self.session.is_handshaking() {
            let mut heard = std::mem::take(&mut self.heard);
            let step = self.step(&mut |bytes| heard.push(bytes));
            self.heard = heard;
            match step? {
                Step::Waits if self.session.is_handshaking() => self.fill().await?,
                Step::Ended => self.peer_ended = true,
                Step::Waits | Step::On | Step::Heard => {}
            }
        }
        self.session.say_own(&mut self.outgoing);
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Reads more of a handshake, and sends what there is to say: the peer may wait for that, or may say
    /// more first.
    async fn fill(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            match ready!(self.incoming.poll_fill(cx, &mut self.wire))? {
                0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                _ => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Closes the connection behind our alert, if a handshake has failed for its content, in such a way
    /// that the peer can read the alert. A peer that has gone, and so was sent none, is not waited for.
    pub(super) async fn close_after_alert(mut self) {
        if self.failure.is_some() {
            let alert = self.outgoing.all().to_vec();
            self.wire.send_and_close(&alert).await;
        }
    }

    /// Reads at least a byte, unless the stream has ended.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        self.heard.give(buf);
        loop {
            let has_some = buf.filled().len() > before;
            // As many records as fit, so that they are passed on together.
            if has_some && !(self.heard.is_empty() && self.has_record_within(buf.remaining())) {
                return Poll::Ready(Ok(()));
            }
            let mut rest = Ahead::default();
            let mut hear = |bytes: &[u8]| rest.push(&bytes[put(bytes, buf)..]);
            let step = self.poll_step(cx, &mut hear);
            self.heard = rest;
            match step {
                Poll::Ready(Ok(Step::Heard | Step::On)) => {}
                // It is told the next time.
                _ if has_some => return Poll::Ready(Ok(())),
                stopped => return stopped.map_ok(drop),
            }
        }
    }

    /// Decrypts what has come, and holds it: `true` once there is something to read, and `false` at the end
    /// of the stream.
    pub(super) fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.heard.is_empty() {
            let mut heard = Ahead::default();
            let step = self.poll_step(cx, &mut |bytes| heard.push(bytes));
            self.heard = heard;
            if let Step::Ended = ready!(step)? {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// The next step, for which records may have to come.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        heard: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<Step>> {
        if self.peer_ended {
            return Poll::Ready(Ok(Step::Ended));
        }
        let step = self.step(heard);
        match step {
            Ok(Step::Waits) => match ready!(self.incoming.poll_fill(cx, &mut self.wire))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                _ => return Poll::Ready(Ok(Step::On)),
            },
            Ok(Step::Ended) => self.peer_ended = true,
            Ok(Step::Heard | Step::On) => {}
            // Our alert goes if there is room for it.
            Err(_) => {
                let _ = self.outgoing.poll_send(cx, &mut self.wire);
            }
        }
        Poll::Ready(step)
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        text: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.outgoing.poll_send(cx, &mut self.wire))?;
        let text = &text[..text.len().min(TEXT)];
        if text.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.say(Saying::Text(text))?;
        // What does not go now waits.
        match self.outgoing.poll_send(cx, &mut self.wire) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(text.len())),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outgoing.poll_send(cx, &mut self.wire))?;
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    /// Sends our `close_notify`.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_goodbye && self.failure.is_none() {
            self.say(Saying::Goodbye)?;
        }
        self.said_goodbye = true;
        ready!(self.outgoing.poll_send(cx, &mut self.wire))?;
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }

    fn say(&mut self, saying: Saying<'_>) -> io::Result<()> {
        if self.said_goodbye || self.failure.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let said = self
            .session
            .say(saying, &mut self.incoming, &mut self.outgoing);
        said.map_err(|error| self.fail(error))
    }
}

fn io_error(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
