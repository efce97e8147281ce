//! The thread that writes.

use std::{io, mem};

use couplet_connector::layers::observe::Records;

use super::queue::{Queue, Retry, Target};

/// How much is written at once, so that threads that wait for room get some soon.
pub(super) const CHUNK: usize = 4096;

/// Writes what is in the queue, for as long as the program runs.
pub(super) fn run(queue: &Queue) {
    let mut output = Output::new(queue);
    loop {
        let work = queue.next();
        if let Some(target) = work.target {
            output.open(target);
        }
        output.write(&work.lines);
        // Behind the lines that were taken before.
        if work.dropped > 0 {
            let why = match work.failed {
                true => "it could not be written",
                false => "its reader is too slow",
            };
            tracing::warn!(
                lines = work.dropped,
                "the {} is incomplete: {why}",
                queue.log.name()
            );
        }
        queue.idle();
    }
}

struct Output<'a> {
    queue: &'a Queue,
    records: Records<Target>,
    health: Health,
}

#[derive(PartialEq)]
enum Health {
    Sound,
    /// The failure is reported, and the writer is tried again.
    Failing,
    /// The reader is gone: lines are discarded.
    Closed,
}

// ===== impl Output =====

impl<'a> Output<'a> {
    fn new(queue: &'a Queue) -> Self {
        Self {
            queue,
            records: Records::new(Box::new(io::sink())),
            health: Health::Sound,
        }
    }

    /// Of a line that was begun elsewhere, the rest stays there.
    fn open(&mut self, target: Target) {
        self.records = Records::new(target);
        self.health = Health::Sound;
    }

    /// Writes these lines to their end, and waits while that fails.
    fn write(&mut self, mut lines: &[u8]) {
        let mut is_last_try = false;
        while self.health != Health::Closed && (!lines.is_empty() || self.records.is_torn()) {
            let (chunk, rest) = lines.split_at(chunk(lines));
            match self.records.write(chunk) {
                Ok(()) => {
                    self.queue.written(chunk.len());
                    lines = rest;
                    if !self.records.is_torn() {
                        self.works();
                    }
                }
                Err(_) if is_last_try => return self.queue.given_up(lines),
                Err(error) => {
                    self.fails(&error);
                    if self.health == Health::Closed {
                        return;
                    }
                    match self.queue.wait_to_retry() {
                        Retry::Again => {}
                        Retry::Elsewhere(target) => self.open(target),
                        Retry::AgainAndThenGiveUp => is_last_try = true,
                    }
                }
            }
        }
    }

    fn works(&mut self) {
        if mem::replace(&mut self.health, Health::Sound) == Health::Failing {
            tracing::info!("the {} is written again", self.queue.log.name());
        }
    }

    fn fails(&mut self, error: &io::Error) {
        let health = match error.kind() {
            io::ErrorKind::BrokenPipe => Health::Closed,
            _ => Health::Failing,
        };
        if mem::replace(&mut self.health, health) == Health::Sound {
            tracing::warn!(%error, "the {} can't be written", self.queue.log.name());
        }
    }
}

/// How much of these lines is written at once: whole ones, as other programs may write there, too.
fn chunk(lines: &[u8]) -> usize {
    let most = &lines[..lines.len().min(CHUNK)];
    let end = most.iter().rposition(|byte| *byte == b'\n');
    end.or_else(|| lines.iter().position(|byte| *byte == b'\n'))
        .map_or(lines.len(), |end| end + 1)
}
