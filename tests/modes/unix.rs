//! Unix sockets beside TCP: what becomes of a reset, whose connections are accepted, what the path is.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
};

use couplet_tests::{
    Couplet,
    net::{accept, dial, expect_end, expect_reset, listen, reset, unix},
    pattern, until,
};
use rustix::process::Signal;
use tempfile::TempDir;

fn scratch() -> (TempDir, PathBuf, String) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("socket");
    let side = format!("unix:{}", path.display());
    (scratch, path, side)
}

fn uid() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_client_that_leaves_bytes_unread_is_a_reset_and_one_that_does_not_is_an_end() {
    for leaves in [true, false] {
        let (_scratch, path, at) = scratch();
        let server = listen();
        let couplet = Couplet::start(&[&format!("listen:{at}"), &dial(&server)]);
        let client = unix::connect(&path);
        let server = accept(&server);
        pattern::send(&client, 1, 1000);
        pattern::expect(&server, 1, 1000);
        if leaves {
            pattern::send(&server, 2, 1);
            client.peek(&mut [0]).unwrap();
        }
        drop(client);
        match leaves {
            true => {
                expect_reset(&server);
                assert_eq!(couplet.ended(1), "reset by A");
            }
            false => {
                expect_end(&server);
                drop(server);
                assert_eq!(couplet.ended(1), "finished, A first");
            }
        }
    }
}

#[test]
fn a_reset_reaches_a_unix_client_as_an_end_behind_all_that_was_sent() {
    let (_scratch, path, at) = scratch();
    let server = listen();
    let couplet = Couplet::start(&[&format!("listen:{at}"), &dial(&server)]);
    let client = unix::connect(&path);
    let server = accept(&server);
    pattern::send(&server, 1, 1000);
    pattern::expect(&client, 1, 1000);
    reset(server);
    expect_end(&client);
    assert_eq!(couplet.ended(1), "reset by B");
}

#[test]
fn clients_are_chosen_by_user() {
    for (rule, is_accepted) in [
        (format!("allow=uid:{}", uid()), true),
        (format!("allow=uid:{}", uid() + 1), false),
        (format!("deny=uid:{}", uid()), false),
    ] {
        let (_scratch, path, at) = scratch();
        let server = listen();
        let couplet = Couplet::start(&[
            &format!("listen:{at},{rule}"),
            &dial(&server),
            "--access-log=-",
        ]);
        let client = unix::connect(&path);
        if is_accepted {
            pattern::send(&client, 1, 10);
            let server = accept(&server);
            pattern::expect(&server, 1, 10);
            drop((client, server));
            couplet.ended(1);
            let pid = std::process::id();
            let leg = format!(" a=uid:{} a_origin=accepted a_local=unix:", uid());
            couplet.find("its credentials", |line| {
                (line.contains(&leg) && line.contains(&format!(" a_pid={pid}"))).then_some(())
            });
        } else {
            expect_end(&client);
            let refused = couplet.events("refused", 1).remove(0);
            assert_eq!(refused["peer"], format!("uid:{}", uid()));
            let error = refused["error"].as_str().unwrap();
            assert!(error.starts_with("access refused: user "), "{error}");
        }
    }
}

#[test]
fn the_path_has_the_mode_and_goes_at_the_end_also_after_a_kill() {
    let (_scratch, path, at) = scratch();
    let start = || Couplet::start(&[&format!("listen:{at},mode=0620"), "listen:0"]);
    let mut killed = start();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o620
    );
    killed.signal(Signal::KILL);
    until("it is killed", || (!killed.is_running()).then_some(()));
    assert!(path.exists(), "a killed process leaves it");
    let couplet = start();
    // A second one finds the first.
    let second = Couplet::run(&[&format!("listen:{at}"), "listen:0"]);
    second.with(1).said("a program listens there already");
    couplet.terminate();
    couplet.finish().ok();
    assert!(!path.exists());
}

#[test]
fn a_server_behind_a_unix_socket_is_told_of_its_client() {
    let (_scratch, path, at) = scratch();
    let server = UnixListener::bind(&path).unwrap();
    let front = path.with_file_name("front");
    let couplet = Couplet::start(&[
        &format!("listen:unix:{}", front.display()),
        &format!("dial:{at},proxy-protocol=v2"),
    ]);
    let mut client = UnixStream::connect(&front).unwrap();
    client.write_all(b"hello").unwrap();
    let mut server = unix::accept(&server);
    let mut header = [0; 16 + 216];
    server.read_exact(&mut header).unwrap();
    assert_eq!(header[12..16], [0x21, 0x31, 0, 216]);
    let path = front.as_os_str().as_encoded_bytes();
    assert_eq!(&header[16 + 108..16 + 108 + path.len()], path);
    let mut hello = [0; 5];
    server.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    drop(couplet);
}

#[test]
fn a_relay_does_not_dial_itself_over_a_unix_socket() {
    let (scratch, path, at) = scratch();
    Couplet::run(&[&format!("listen:{at}"), &format!("dial:{at}")])
        .with(1)
        .said("this relay listens there itself");
    // Another path leads there later.
    let link = scratch.path().join("link");
    let side = format!("dial:unix:{}", link.display());
    let couplet = Couplet::start(&[&format!("listen:{at}"), &side]);
    std::os::unix::fs::symlink(&path, link).unwrap();
    let mut client = unix::connect(&path);
    match client.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let refused = couplet.events("refused", 1).remove(0);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("this relay listens there itself"), "{error}");
}
