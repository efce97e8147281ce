//! `GET /v1/pairs/ID/capture`: the bytes of a live pair as pcapng, from now on, as they come.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    body::{Body, Bytes},
    extract::State as Given,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use couplet_connector::layers::{Capture, observe::capture::LiveCapture};
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Problem, State,
    query::{Segment, id},
    routes::find,
};

/// How many bytes of packets wait for a reader that is slow. If there are more, the capture ends, and the
/// pair goes on.
const BUFFER: usize = 4 * 1024 * 1024;

/// How many pieces are on their way from the thread that writes.
const PIECES: usize = 8;

/// The file's end, as a thread writes it.
struct Pieces(mpsc::Sender<Bytes>);

/// What a reader gets, as long as it reads.
struct Capturing {
    pieces: mpsc::Receiver<Bytes>,
    live: LiveCapture,
    session: u64,
    _counted: Counted,
    _permit: OwnedSemaphorePermit,
}

/// One of the captures of a relay.
struct Counted(Arc<AtomicU64>);

pub(super) async fn capture(
    Given(state): Given<State>,
    Segment(number): Segment,
) -> Result<Response, Problem> {
    let (relay, session) = find(&state, id(&number)?)?;
    let permit = Arc::clone(&state.admin.0.captures).try_acquire_owned();
    let permit = permit.map_err(|_| {
        let detail = "as many captures run as may: end another one";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let capture = Capture::to_writer(Pieces(sender)).buffer(BUFFER);
    capture.start().map_err(|error| {
        let detail = format!("a capture can't be started: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let live = capture.tap(&session).ok_or_else(|| {
        let detail = format!("pair {number} is captured by another request, or has ended");
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    let session = session.id().get();
    tracing::info!(
        relay = relay.name(),
        session,
        "captured by the admin endpoint"
    );
    let capturing = Capturing {
        pieces,
        live,
        session,
        _counted: Counted::of(&relay.captures),
        _permit: permit,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/x-pcapng".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"pair-{session}.pcapng\""),
        ),
    ];
    let body = Body::from_stream(stream::unfold(Some(capturing), next));
    Ok((headers, body).into_response())
}

/// The next piece. A capture that is not whole ends with an error, so that its reader does not take what it
/// has for all.
async fn next(capturing: Option<Capturing>) -> Option<(io::Result<Bytes>, Option<Capturing>)> {
    let mut capturing = capturing?;
    match capturing.pieces.recv().await {
        Some(piece) => Some((Ok(piece), Some(capturing))),
        None if capturing.live.is_whole() => None,
        None => {
            let session = capturing.session;
            tracing::warn!(
                session,
                "the reader of a capture was too slow: it is cut off"
            );
            let error = io::Error::other("the reader was too slow for the traffic");
            Some((Err(error), None))
        }
    }
}

// ===== impl Pieces =====

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where the reader has left, the capture ends by itself, and no client is left to hear of an error.
        let _ = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ===== impl Counted =====

impl Counted {
    fn of(captures: &Arc<AtomicU64>) -> Self {
        captures.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(captures))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
