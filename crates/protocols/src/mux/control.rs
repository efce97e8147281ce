//! The stream that is the carrier's own: whether the peer is there, and whether it takes more streams.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, FutureExt};
use tokio::{
    sync::oneshot,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout},
};
use yamux::Stream;

use super::{CONTROL, PATIENCE, carried::Signs, ended::Ended};

const PING: u8 = 1;
const PONG: u8 = 2;
const AWAY: u8 = 3;

/// What is heard of a carrier.
pub(super) enum Notice {
    /// The peer is there, and speaks as this end does.
    Begun,
    /// The peer takes no more streams.
    Away,
}

/// What there is to do.
enum Turn {
    /// A byte, unless the stream is over.
    Read(Option<u8>),
    Ping,
    Leave,
}

/// Attends to the stream until the carrier is to be given up. When this end `leaves`, the peer is told.
pub(super) async fn attend(
    stream: oneshot::Receiver<Stream>,
    ping: Option<Duration>,
    signs: &Signs,
    leaves: impl Future<Output = ()>,
    mut notices: impl FnMut(Notice),
) -> Ended {
    let begun = async {
        let mut stream = stream.await.ok()?;
        say(&mut stream, CONTROL).await?;
        let mut first = [0];
        stream.read_exact(&mut first).await.ok()?;
        (first == [CONTROL]).then_some(stream)
    };
    let Ok(Some(mut stream)) = timeout(PATIENCE, begun).await else {
        return Ended::Foreign;
    };
    notices(Notice::Begun);
    let mut leaves = pin!(leaves.fuse());
    let mut ticks = ping.map(ticks);
    let mut is_pinged = false;
    loop {
        let turn = poll_fn(|cx| {
            if let Poll::Ready(byte) = poll_byte(&mut stream, cx) {
                return Poll::Ready(Turn::Read(byte));
            }
            if let Some(ticks) = &mut ticks
                && ticks.poll_tick(cx).is_ready()
            {
                return Poll::Ready(Turn::Ping);
            }
            leaves.as_mut().poll(cx).map(|()| Turn::Leave)
        });
        let said = match turn.await {
            Turn::Read(Some(PING)) => say(&mut stream, PONG).await,
            Turn::Read(Some(PONG)) => Some(()),
            Turn::Read(Some(AWAY)) => {
                notices(Notice::Away);
                Some(())
            }
            Turn::Read(Some(_)) => return Ended::Foreign,
            Turn::Read(None) => None,
            // Any byte of the carrier is a sign of life: an answer may be far behind others.
            Turn::Ping if signs.take_heard() => {
                is_pinged = false;
                Some(())
            }
            Turn::Ping if is_pinged => return Ended::Silent,
            Turn::Ping => {
                is_pinged = true;
                say(&mut stream, PING).await
            }
            Turn::Leave => say(&mut stream, AWAY).await,
        };
        if said.is_none() {
            // Mostly the carrier has ended, too, which its driver is about to see.
            sleep(PATIENCE).await;
            return Ended::Lost;
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn poll_byte(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Option<u8>> {
    let mut byte = [0];
    let read = Pin::new(stream).poll_read(cx, &mut byte);
    read.map(|read| matches!(read, Ok(1)).then_some(byte[0]))
}

async fn say(stream: &mut Stream, byte: u8) -> Option<()> {
    stream.write_all(&[byte]).await.ok()?;
    stream.flush().await.ok()
}
