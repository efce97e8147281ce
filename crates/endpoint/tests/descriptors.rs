//! Running out of file descriptors. The limit is the process's, so this test has one of its own.

#![cfg(target_os = "linux")]

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use couplet_endpoint::{Dial, Listen, find_cause};
use futures::{StreamExt, poll};
use rustix::{
    io::Errno,
    process::{Resource, getrlimit, setrlimit},
};
use tokio::sync::Notify;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Counts what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Counts>);

#[derive(Default)]
struct Counts {
    warnings: AtomicUsize,
    infos: AtomicUsize,
    debugs: AtomicUsize,
    logged: Notify,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("couplet_endpoint::listen")
    }

    fn event(&self, event: &Event<'_>) {
        let count = match *event.metadata().level() {
            Level::WARN => &self.0.warnings,
            Level::INFO => &self.0.infos,
            _ => &self.0.debugs,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.0.logged.notify_one();
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Counts {
    /// Warnings, and reports that it is over.
    fn told(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.warnings), count(&self.infos))
    }
}

/// Takes every descriptor that the process may have.
fn exhaust() -> Vec<File> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).expect("it may be lowered");
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(Errno::from_io_error(&error), Some(Errno::MFILE));
                return files;
            }
        }
    }
}

#[tokio::test]
async fn listening_outlives_a_shortage_of_descriptors() {
    let log = Log::default();
    let counts = Arc::clone(&log.0);
    let _default = tracing::subscriber::set_default(log);

    let mut listen = Listen::bind("0").await.unwrap();
    let addr = listen.local_addr();
    let mut clients = [(); 2].map(|()| std::net::TcpStream::connect(addr).unwrap());
    let files = exhaust();

    // Several tries fail, and no item comes of them.
    while counts.debugs.load(Ordering::Relaxed) < 3 {
        tokio::select! {
            item = listen.next() => panic!("without a descriptor: {item:?}"),
            () = counts.logged.notified() => {}
        }
    }
    assert_eq!(counts.told(), (1, 0), "one warning for all of it");

    let error = Dial::new(addr).connect().await.expect_err("no descriptor");
    let cause = find_cause(&error).and_then(Errno::from_io_error);
    assert_eq!(cause, Some(Errno::MFILE), "a dial fails alone");

    drop(files);
    for client in &mut clients {
        let conn = listen.next().await.unwrap().unwrap();
        assert_eq!(conn.info.peer, Some(client.local_addr().unwrap()));
    }
    assert!(poll!(listen.next()).is_pending());
    assert_eq!(counts.told(), (1, 1), "it accepts again");
}
