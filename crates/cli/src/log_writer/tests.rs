use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{queue::Bounds, thread::CHUNK, *};

const LONG: Duration = Duration::from_secs(600);

/// As a pipe with room for one write.
struct Pipe(SyncSender<Vec<u8>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(bytes.to_vec());
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log with room for ten lines of eight bytes.
fn log(patience: Duration) -> (LogWriter, Receiver<Vec<u8>>) {
    let (room, retry) = (80, Duration::from_millis(1));
    let log = LogWriter::bounded(
        Log::Access,
        Bounds {
            room,
            patience,
            retry,
        },
    );
    let (pipe, reader) = sync_channel(0);
    log.open(Pipe(pipe)).unwrap();
    (log, reader)
}

fn line(number: usize) -> String {
    format!("{number:07}\n")
}

#[test]
fn a_reader_that_is_fast_enough_gets_every_line() {
    let (mut log, reader) = log(LONG);
    let writing = thread::spawn(move || {
        for number in 0..1000 {
            log.write_all(line(number).as_bytes()).unwrap();
        }
        assert_eq!(log.0.finish(LONG), 0);
    });
    let mut read = Vec::new();
    while read.len() < 8000 {
        let record = reader.recv().unwrap();
        assert_eq!(record.last(), Some(&b'\n'), "a line is cut");
        read.extend(record);
    }
    let all: String = (0..1000).map(line).collect();
    assert_eq!(String::from_utf8(read).unwrap(), all);
    writing.join().unwrap();
}

#[test]
fn a_stalled_reader_holds_up_nothing_and_gets_the_oldest_lines() {
    let (mut log, reader) = log(Duration::from_millis(1));
    for number in 0..1000 {
        log.write_all(line(number).as_bytes()).unwrap();
    }
    let kept = 1000 - log.0.dropped();
    assert!((10..=21).contains(&kept), "{kept}");
    let mut read = Vec::new();
    while read.len() < 8 * kept {
        read.extend(reader.recv().unwrap());
    }
    let all: String = (0..kept).map(line).collect();
    assert_eq!(String::from_utf8(read).unwrap(), all);
    while log.0.dropped() > 0 {
        thread::yield_now();
    }
    // The log goes on.
    log.write_all(line(7).as_bytes()).unwrap();
    assert_eq!(reader.recv().unwrap(), line(7).as_bytes());
}

#[test]
fn the_wait_for_a_slow_reader_is_bounded() {
    // A reader that takes a thousandth of the room earns a thousandth of the patience.
    let patience = Duration::from_millis(10);
    let (room, retry) = (80, LONG);
    let queue = Queue::new(
        Log::Access,
        Bounds {
            room,
            patience,
            retry,
        },
    );
    assert_eq!(queue.patience(), patience);
    queue.push(&[b'\n'; 80]);
    queue.push(b"\n");
    assert_eq!(
        queue.patience(),
        Duration::ZERO,
        "nothing was written meanwhile"
    );
    queue.written(8);
    assert_eq!(queue.patience(), patience / 10);
    queue.written(80);
    assert_eq!(queue.patience(), patience, "and no more");
}

#[test]
fn the_end_does_not_wait_for_a_stalled_reader() {
    let (mut log, _reader) = log(LONG);
    log.write_all(b"one\n").unwrap();
    log.0.finish(Duration::from_millis(1));
}

#[test]
fn a_line_longer_than_the_queue_is_whole() {
    let (mut log, reader) = log(LONG);
    let long = vec![b'x'; 3 * CHUNK];
    log.write_all(&[&long[..], b"\nnext\n"].concat()).unwrap();
    assert_eq!(reader.recv().unwrap(), [&long[..], b"\n"].concat());
    assert_eq!(reader.recv().unwrap(), b"next\n");
}

/// A disk that has so much room.
#[derive(Clone, Default)]
struct Disk(Arc<std::sync::Mutex<(usize, Vec<u8>)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (room, written) = &mut *self.0.lock().unwrap();
        let n = bytes.len().min(*room);
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= n;
        written.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_are_whole_once_a_full_disk_has_room_again() {
    let (room, patience, retry) = (80, LONG, Duration::from_millis(1));
    let mut log = LogWriter::bounded(
        Log::Access,
        Bounds {
            room,
            patience,
            retry,
        },
    );
    let disk = Disk::default();
    disk.0.lock().unwrap().0 = 20;
    log.open(disk.clone()).unwrap();
    // No line waits for the disk, though the patience is long.
    for number in 0..1000 {
        log.write_all(line(number).as_bytes()).unwrap();
    }
    while log.0.dropped() == 0 {
        log.write_all(line(0).as_bytes()).unwrap();
    }
    disk.0.lock().unwrap().0 = 1 << 20;
    while log.0.dropped() > 0 {
        thread::yield_now();
    }
    log.write_all(b"last\n").unwrap();
    assert_eq!(log.0.finish(LONG), 0);
    let written = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
    let (first, last) = written.split_at(written.len() - 5);
    assert_eq!(last, "last\n");
    let kept: String = (0..first.len() / 8).map(line).collect();
    assert_eq!(first, kept, "the oldest, whole");
}

#[test]
fn lines_lost_to_a_full_disk_are_counted_at_the_end() {
    let (room, patience, retry) = (80, LONG, LONG);
    let mut log = LogWriter::bounded(
        Log::Access,
        Bounds {
            room,
            patience,
            retry,
        },
    );
    log.open(Disk::default()).unwrap();
    for number in 0..100 {
        log.write_all(line(number).as_bytes()).unwrap();
        while number == 0 && !log.0.is_failing() {
            thread::yield_now();
        }
    }
    assert_eq!(log.0.finish(LONG), 100);
}
