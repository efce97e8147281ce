use std::{fs, path::Path, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Joined, join, packets, started};
use crate::observe::capture::{Capture, CaptureLayer};

const PATIENCE: Duration = Duration::from_secs(60);

/// A says so many bytes.
async fn say(joined: &mut Joined, length: usize) {
    let mut bytes = vec![b'x'; length];
    joined.peer_a.write_all(&bytes).await.unwrap();
    joined.a.read_exact(&mut bytes).await.unwrap();
}

#[tokio::test]
async fn a_full_file_is_followed_by_the_next() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("trace.pcapng");
    let capture = Capture::to_file(&path).roll(5000);
    let mut joined = join(started(&capture));
    for _ in 0..10 {
        say(&mut joined, 1000).await;
    }
    drop(joined);
    assert!(capture.finish(PATIENCE));
    let mut names: Vec<_> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert!(names.len() >= 3, "{names:?}");
    assert!(names.contains(&"trace-2.pcapng".into()), "{names:?}");
    let mut all = 0;
    for name in &names {
        let path = scratch.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() <= 5000);
        all += packets(&path).len();
    }
    // The opening, ten times bytes and their acknowledgement, and the cut.
    assert_eq!(all, 3 + 20 + 1);
}

#[tokio::test]
async fn every_pair_may_have_its_own_file() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_directory(scratch.path());
    let layer = started(&capture);
    let mut pairs = [join(layer.clone()), join(layer)];
    let ids = pairs.each_ref().map(|joined| joined.session.id());
    for (joined, times) in pairs.iter_mut().zip([1, 3]) {
        for _ in 0..times {
            say(joined, 10).await;
        }
    }
    drop(pairs);
    assert!(capture.finish(PATIENCE));
    for (id, times) in ids.iter().zip([1, 3]) {
        let name = format!("20261123T091502.123456Z-{id}.pcapng");
        assert_eq!(packets(&scratch.path().join(name)).len(), 3 + times * 2 + 1);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("trace.pcapng");
    Capture::to_file(&path).start().unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_replaced_file_is_its_owners_alone_as_well() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("trace.pcapng");
    fs::write(&path, "another").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    Capture::to_file(&path).start().unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("missing");
    Capture::to_file(missing.join("trace.pcapng"))
        .start()
        .unwrap_err();
    Capture::to_directory(&missing).start().unwrap_err();
    let file = scratch.path().join("file");
    let capture = Capture::to_file(&file);
    capture.start().unwrap();
    capture.start().unwrap_err();
    Capture::to_directory(&file).start().unwrap_err();
}

#[tokio::test]
async fn without_room_the_capture_stops_and_the_bytes_go_on() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("trace.pcapng");
    let capture = Capture::to_file(&path).buffer(500);
    let mut joined = join(started(&capture));
    assert!(capture.is_active());
    say(&mut joined, 1000).await;
    assert!(!capture.is_active());
    say(&mut joined, 1000).await;
    drop(joined);
    assert!(capture.finish(PATIENCE));
    assert_eq!(
        packets(&path).len(),
        3,
        "the file is whole as far as it goes"
    );
}

/// How many files of this directory are open.
#[cfg(target_os = "linux")]
fn open_in(directory: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    descriptors
        .filter(|one| fs::read_link(one.path()).is_ok_and(|file| file.starts_with(directory)))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stopped_capture_has_closed_its_files() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_directory(scratch.path()).buffer(2000);
    let layer = started(&capture);
    let mut pairs = [join(layer.clone()), join(layer)];
    let open = async |number| {
        let opened = async {
            while open_in(scratch.path()) != number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, opened).await.unwrap();
    };
    open(2).await;
    say(&mut pairs[1], 2000).await;
    assert!(!capture.is_active());
    open(0).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_full_disk_the_capture_stops_and_the_bytes_go_on() {
    let capture = Capture::to_file("/dev/full");
    let mut joined = join(started(&capture));
    say(&mut joined, 100_000).await;
    while capture.is_active() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    say(&mut joined, 1000).await;
    assert!(!capture.finish(PATIENCE));
}

#[tokio::test]
async fn before_its_start_a_capture_records_nothing() {
    let mut joined = join(CaptureLayer::new(Capture::to_file(
        "/nonexistent/trace.pcapng",
    )));
    say(&mut joined, 1000).await;
}

#[tokio::test]
async fn a_finished_capture_does_not_start() {
    let scratch = tempfile::tempdir().unwrap();
    let capture = Capture::to_file(scratch.path().join("trace.pcapng"));
    assert!(capture.finish(PATIENCE));
    let mut joined = join(started(&capture));
    assert!(!capture.is_active());
    say(&mut joined, 1000).await;
    assert!(capture.finish(PATIENCE));
}

/// A writer that shows what it was given.
#[derive(Clone, Default)]
struct Given(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Given {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_gets_what_a_file_would_get() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("trace.pcapng");
    let given = Given::default();
    let capture = Capture::to_writer(given.clone());
    let mut joined = join(started(&capture));
    say(&mut joined, 10).await;
    drop(joined);
    assert!(capture.finish(PATIENCE));
    fs::write(&path, &*given.0.lock().unwrap()).unwrap();
    assert_eq!(packets(&path).len(), 3 + 2 + 1);
}

#[cfg(unix)]
mod named_pipe {
    use std::{os::unix::fs::FileTypeExt, path::PathBuf, process::Command};

    use super::*;

    fn fifo(scratch: &tempfile::TempDir) -> PathBuf {
        let path = scratch.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path
    }

    #[tokio::test]
    async fn the_reader_of_a_pipe_may_come_later() {
        let scratch = tempfile::tempdir().unwrap();
        let path = fifo(&scratch);
        let capture = Capture::to_file(&path);
        let mut joined = join(started(&capture));
        say(&mut joined, 10).await;
        drop(joined);
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        while !capture.finish(PATIENCE) {
            tokio::task::yield_now().await;
        }
        drop(capture);
        let read = reader.join().unwrap();
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        let copy = scratch.path().join("copy.pcapng");
        fs::write(&copy, read).unwrap();
        assert_eq!(packets(&copy).len(), 3 + 2 + 1);
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_the_reader_of_a_pipe() {
        let scratch = tempfile::tempdir().unwrap();
        let capture = Capture::to_file(fifo(&scratch));
        let mut joined = join(started(&capture));
        say(&mut joined, 10).await;
        assert!(
            !capture.finish(PATIENCE),
            "it returns at once, and nothing is written"
        );
    }

    #[tokio::test]
    async fn once_its_reader_has_gone_the_capture_stops() {
        let scratch = tempfile::tempdir().unwrap();
        let path = fifo(&scratch);
        let capture = Capture::to_file(&path);
        let mut joined = join(started(&capture));
        drop(fs::File::open(&path).unwrap());
        while capture.is_active() {
            say(&mut joined, 10).await;
            tokio::task::yield_now().await;
        }
        say(&mut joined, 10).await;
    }

    #[test]
    fn a_writer_is_not_rolled() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Capture::to_file(fifo(&scratch))
            .roll(100)
            .start()
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}
