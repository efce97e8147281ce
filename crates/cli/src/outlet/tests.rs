use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

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

fn outlet(room: usize, patience: Duration) -> (Outlet, Receiver<Vec<u8>>) {
    let outlet = Outlet::bounded("test", room, patience);
    let (pipe, reader) = sync_channel(0);
    outlet.open(Pipe(pipe)).unwrap();
    (outlet, reader)
}

fn line(number: usize) -> String {
    format!("{number:07}\n")
}

#[test]
fn who_reads_slowly_gets_every_line() {
    // Ten of a thousand lines fit in.
    let (mut outlet, reader) = outlet(80, Duration::from_secs(600));
    let writing = thread::spawn(move || {
        for number in 0..1000 {
            outlet.write_all(line(number).as_bytes()).unwrap();
        }
        outlet.0.finish(Duration::from_secs(600));
        drop(outlet);
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
fn who_has_stalled_holds_nobody_up_and_gets_the_oldest() {
    let (mut outlet, reader) = outlet(80, Duration::from_millis(1));
    // If each waited for its patience to end, it would still be no more than a second.
    for number in 0..1000 {
        outlet.write_all(line(number).as_bytes()).unwrap();
    }
    let state = outlet.0.state();
    let kept = 1000 - state.dropped;
    assert!(state.stalled && (10..=21).contains(&kept), "{kept}");
    drop(state);
    let mut read = Vec::new();
    while read.len() < 8 * kept {
        read.extend(reader.recv().unwrap());
    }
    let all: String = (0..kept).map(line).collect();
    assert_eq!(String::from_utf8(read).unwrap(), all);
    // It goes on, as if nothing had been.
    outlet.0.finish(Duration::from_secs(600));
    outlet.write_all(line(7).as_bytes()).unwrap();
    assert_eq!(reader.recv().unwrap(), line(7).as_bytes());
}

#[test]
fn the_end_is_not_held_up() {
    let (mut outlet, _reader) = outlet(80, Duration::from_secs(600));
    outlet.write_all(b"one\n").unwrap();
    outlet.0.finish(Duration::from_millis(1));
    let state = outlet.0.state();
    assert!(state.writing || !state.waiting.is_empty());
}

#[test]
fn a_line_that_is_more_than_there_is_room_for_is_whole() {
    let (mut outlet, reader) = outlet(80, Duration::from_secs(600));
    let long = vec![b'x'; 3 * CHUNK];
    outlet
        .write_all(&[&long[..], b"\nnext\n"].concat())
        .unwrap();
    assert_eq!(reader.recv().unwrap(), [&long[..], b"\n"].concat());
    assert_eq!(reader.recv().unwrap(), b"next\n");
}
