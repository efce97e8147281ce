//! A session of rustls in which rustls holds no bytes: what has come and what is to go is ours, so that an
//! idle connection holds neither.

use std::ops::Deref;

use super::{
    records::{Incoming, Outgoing},
    rustls::{
        CommonState, Error,
        client::UnbufferedClientConnection,
        server::UnbufferedServerConnection,
        unbuffered::{
            ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
            UnbufferedStatus, WriteTraffic,
        },
    },
};

/// Either end's.
pub(super) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What has come of a step.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// There may be more to do.
    On,
    /// Bytes of the peer were heard.
    Heard,
    /// The peer has sent its `close_notify`.
    Ended,
    /// More records must come.
    Waits,
}

/// What is to be said.
#[derive(Clone, Copy)]
pub(super) enum Saying<'a> {
    Text(&'a [u8]),
    Goodbye,
}

/// The session of either end, by whichever type.
macro_rules! either {
    ($session:expr, $either:ident => $does:expr) => {
        match $session {
            Session::Client($either) => $does,
            Session::Server($either) => $does,
        }
    };
}

// ===== impl Session =====

impl Session {
    /// Takes the next step with the records that have come. What the session itself has to say goes into
    /// the outgoing ones.
    pub(super) fn step(
        &mut self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
        heard: &mut dyn FnMut(&[u8]),
    ) -> Result<Step, Error> {
        let (discard, step) = either!(self, session => {
            advance(session.process_tls_records(incoming.all()), outgoing, heard)
        });
        incoming.discard(discard, matches!(step, Ok(Step::Waits)));
        step
    }

    /// Encrypts, once the handshake is done.
    pub(super) fn say(
        &mut self,
        saying: Saying<'_>,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> Result<(), Error> {
        loop {
            // Not what has come since: its bytes would have to be heard first.
            let said = either!(self, session => {
                say(session.process_tls_records(incoming.seen()), saying, outgoing)
            })?;
            if said {
                return Ok(());
            }
        }
    }

    /// What the session itself has to say, also after a failure.
    pub(super) fn say_own(&mut self, outgoing: &mut Outgoing) {
        while self.wants_write() {
            let step = either!(self, session => {
                advance(session.process_tls_records(&mut []), outgoing, &mut |_| {}).1
            });
            if step != Ok(Step::On) {
                return;
            }
        }
    }
}

impl Deref for Session {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        either!(self, session => session)
    }
}

/// What has come of records, and how many of their bytes are done with.
fn advance<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outgoing,
    heard: &mut dyn FnMut(&[u8]),
) -> (usize, Result<Step, Error>) {
    let mut discard = status.discard;
    let step = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut step = Ok(Step::Heard);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        heard(record.payload);
                    }
                    Err(error) => {
                        step = Err(error);
                        break;
                    }
                }
            }
            step
        }
        Ok(ConnectionState::EncodeTlsData(data)) => {
            encode(data, outgoing);
            Ok(Step::On)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::On)
        }
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Ended),
        Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Ok(Step::Waits),
        Ok(state) => Err(unknown(&state)),
        Err(error) => Err(error),
    };
    (discard, step)
}

/// Has it been said?
fn say<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    saying: Saying<'_>,
    outgoing: &mut Outgoing,
) -> Result<bool, Error> {
    match status.state? {
        ConnectionState::WriteTraffic(traffic) => encrypt(traffic, saying, outgoing).map(|()| true),
        ConnectionState::EncodeTlsData(data) => {
            encode(data, outgoing);
            Ok(false)
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(false)
        }
        state => Err(unknown(&state)),
    }
}

fn encrypt<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    saying: Saying<'_>,
    outgoing: &mut Outgoing,
) -> Result<(), Error> {
    let mut least = 0;
    loop {
        let room = outgoing.room(least);
        let said = match saying {
            Saying::Text(text) => traffic.encrypt(text, room),
            Saying::Goodbye => traffic.queue_close_notify(room),
        };
        match said {
            Ok(n) => {
                outgoing.add(n);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                least = required_size;
            }
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, outgoing: &mut Outgoing) {
    let mut least = 0;
    loop {
        match data.encode(outgoing.room(least)) {
            Ok(n) => return outgoing.add(n),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                least = required_size;
            }
            Err(EncodeError::AlreadyEncoded) => return,
        }
    }
}

fn unknown<Data>(state: &ConnectionState<'_, '_, Data>) -> Error {
    Error::General(format!("state {state:?} of a TLS session was not expected"))
}
