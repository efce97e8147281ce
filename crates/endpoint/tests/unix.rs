//! Unix sockets: paths, permissions, credentials, full queues.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use couplet_endpoint::{BindError, BoxError, Chain, UnixAddr, UnixDial, UnixListen};
use futures::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("couplet-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> UnixAddr {
        UnixAddr::path(self.path()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A socket on which no program listens, as one that was killed leaves it.
fn leave_stale(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(fs::metadata(path).unwrap().file_type().is_socket());
}

async fn bind_error(addr: UnixAddr) -> BindError {
    UnixListen::bind(addr).await.unwrap_err()
}

#[tokio::test]
async fn bytes_and_ends_go_both_ways_and_each_knows_the_other() -> Result<(), BoxError> {
    let directory = Directory::new("both-ways");
    let mut listen = UnixListen::bind(directory.socket()).await?;
    let mut ours = UnixDial::new(directory.socket()).connect().await?;
    let mut theirs = listen.try_next().await?.unwrap();

    ours.io.write_all(b"question").await?;
    ours.io.shutdown().await?;
    let mut heard = String::new();
    theirs.io.read_to_string(&mut heard).await?;
    assert_eq!(heard, "question");
    theirs.io.write_all(b"answer").await?;
    drop(theirs.io);
    heard.clear();
    ours.io.read_to_string(&mut heard).await?;
    assert_eq!(heard, "answer");

    let me = fs::metadata("/proc/self")?;
    for info in [&ours.info, &theirs.info] {
        let peer = info.unix().unwrap();
        assert_eq!((peer.uid, peer.gid), (me.uid(), me.gid()));
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(*peer.socket, directory.socket());
        assert_eq!((info.peer, info.local), (None, None));
    }
    Ok(())
}

#[tokio::test]
async fn a_path_goes_with_its_listener_unless_another_has_it() {
    let directory = Directory::new("removed");
    let listen = UnixListen::bind(directory.socket()).await.unwrap();
    assert!(directory.path().exists());
    drop(listen);
    assert!(!directory.path().exists());

    let listen = UnixListen::bind(directory.socket()).await.unwrap();
    fs::remove_file(directory.path()).unwrap();
    let other = UnixListen::bind(directory.socket()).await.unwrap();
    drop(listen);
    assert!(directory.path().exists(), "the other's path was removed");
    drop(other);
    assert!(!directory.path().exists());
}

#[tokio::test]
async fn a_stale_path_is_replaced() {
    let directory = Directory::new("stale");
    leave_stale(&directory.path());
    let mut listen = UnixListen::bind(directory.socket()).await.unwrap();
    let _client = UnixDial::new(directory.socket()).connect().await.unwrap();
    listen.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_path_in_use_stays() {
    let directory = Directory::new("live");
    // With a queue that is full, too, a program listens there.
    let listen = UnixListen::options().backlog(0);
    let mut listen = listen.bind(directory.socket()).await.unwrap();
    for _ in 0..2 {
        let error = bind_error(directory.socket()).await;
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.ends_with(", a program listens there already"),
            "{text}"
        );
        // The second time it is full: the one that was tried above is in it.
        let dial = UnixDial::new(directory.socket());
        let _ = dial
            .connect_timeout(Duration::from_millis(1))
            .connect()
            .await;
    }
    assert!(listen.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let directory = Directory::new("file");
    fs::write(directory.path(), "precious").unwrap();
    let error = bind_error(directory.socket()).await;
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let text = Chain(&error).to_string();
    let expected = "path is not a socket and stays as it is: a file is there";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(fs::read(directory.path()).unwrap(), b"precious");

    fs::remove_file(directory.path()).unwrap();
    std::os::unix::fs::symlink("elsewhere", directory.path()).unwrap();
    let error = bind_error(directory.socket()).await;
    assert!(
        Chain(&error)
            .to_string()
            .ends_with("a symbolic link is there")
    );
    let nowhere = UnixAddr::path(directory.0.join("no/where")).unwrap();
    let error = bind_error(nowhere).await;
    assert!(
        error.to_string().ends_with(", no such directory"),
        "{error}"
    );
}

/// Of many that find one stale path at once, one listens, and the others are told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_replaces_a_stale_path() {
    let directory = Directory::new("race");
    for _ in 0..20 {
        leave_stale(&directory.path());
        let all = (0..8).map(|_| tokio::spawn(UnixListen::bind(directory.socket())));
        let all = futures::future::join_all(all).await;
        let (bound, failed): (Vec<_>, Vec<_>) =
            all.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!(bound.len(), 1);
        for error in failed {
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        UnixDial::new(directory.socket()).connect().await.unwrap();
        drop(bound);
    }
}

#[tokio::test]
async fn permissions_are_as_they_are_told() {
    let directory = Directory::new("mode");
    for mode in [0o600, 0o666, 0o777, 0o060] {
        let options = UnixListen::options().mode(mode);
        let listen = options.bind(directory.socket()).await.unwrap();
        let is = fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(is & 0o7777, mode);
        drop(listen);
    }
    let me = fs::metadata("/proc/self").unwrap();
    let options = UnixListen::options().user(me.uid()).group(me.gid());
    drop(options.bind(directory.socket()).await.unwrap());
    if me.uid() == 0 {
        let options = UnixListen::options().user(7).group(8).mode(0o640);
        let _listen = options.bind(directory.socket()).await.unwrap();
        let is = fs::metadata(directory.path()).unwrap();
        assert_eq!((is.uid(), is.gid()), (7, 8));
        assert_eq!(is.permissions().mode() & 0o7777, 0o640);
    }
}

#[tokio::test]
async fn a_server_with_a_full_queue_is_dialled_again() {
    let directory = Directory::new("full");
    let options = UnixListen::options().backlog(0);
    let mut listen = options.bind(directory.socket()).await.unwrap();
    let dial = UnixDial::new(directory.socket());
    let _first = dial.connect().await.unwrap();
    let short = dial.clone().connect_timeout(Duration::from_millis(30));
    let error = short.connect().await.unwrap_err();
    assert!(error.is_timeout());
    let text = error.to_string();
    assert!(
        text.ends_with(", whose queue (backlog) was full for 30ms"),
        "{text}"
    );

    let waiting = tokio::spawn(async move { dial.connect().await });
    for _ in 0..2 {
        listen.next().await.unwrap().unwrap();
    }
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_can_not_be_dialled_is_told() {
    let directory = Directory::new("refused");
    let dial = UnixDial::new(directory.socket());
    let told = async || Chain(&dial.connect().await.unwrap_err()).to_string();
    let text = told().await;
    assert!(text.contains(", no such socket: "), "{text}");
    leave_stale(&directory.path());
    let text = told().await;
    assert!(text.contains(", no program listens there: "), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_abstract_name_has_no_file() {
    let name = UnixAddr::abstract_name(format!("couplet-{}", std::process::id())).unwrap();
    let mut listen = UnixListen::bind(name.clone()).await.unwrap();
    let _client = UnixDial::new(name.clone()).connect().await.unwrap();
    let client = listen.next().await.unwrap().unwrap();
    assert_eq!(*client.info.unix().unwrap().socket, name);
    assert_eq!(
        bind_error(name.clone()).await.kind(),
        io::ErrorKind::AddrInUse
    );
    drop(listen);
    let error = UnixListen::options()
        .mode(0o600)
        .bind(name)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// What a Unix socket does where TCP would reset: see `UnixListen`.
#[tokio::test]
async fn an_aborted_connection_is_a_reset_only_with_bytes_unread() {
    use couplet_endpoint::Io;

    for unread in [false, true] {
        let directory = Directory::new("abort");
        let mut listen = UnixListen::bind(directory.socket()).await.unwrap();
        let mut client = UnixDial::new(directory.socket())
            .connect()
            .await
            .unwrap()
            .io;
        let mut server = listen.next().await.unwrap().unwrap().io;
        server.write_all(b"some").await.unwrap();
        if unread {
            client.write_all(b"?").await.unwrap();
        }
        server.abort();
        drop(server);
        let mut heard = [0; 9];
        assert_eq!(client.read(&mut heard).await.unwrap(), 4);
        let then = client.read(&mut heard).await;
        match unread {
            true => assert_eq!(then.unwrap_err().kind(), io::ErrorKind::ConnectionReset),
            false => assert_eq!(then.unwrap(), 0),
        }
    }
}
