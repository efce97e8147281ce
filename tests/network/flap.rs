//! A link that goes away for a while.

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use couplet_tests::{
    LIMIT,
    net::accept,
    pattern::{expect, expect_all, send},
};

use crate::{is_wanted, link::Link};

#[test]
fn a_session_outlives_a_device_that_is_down() {
    if !is_wanted() {
        return;
    }
    let link = Link::new(1400, r#"{"delay": 0.01, "rate": 2000000}"#);
    let listener = link
        .far
        .within(|| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let dial = format!("dial:{}", listener.local_addr().unwrap());
    let couplet = link
        .far
        .couplet(&[&format!("listen:{}:0", link.far.ip), &dial]);
    let address = couplet.address('A');
    let client = link
        .near
        .within(|| TcpStream::connect_timeout(&address, LIMIT).unwrap());
    let server = accept(&listener);
    const MUCH: usize = 1_000_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&client, 1, MUCH);
            client.shutdown(Shutdown::Write).unwrap();
        });
        // A part is here: the rest is on its way.
        expect(&server, 1, MUCH / 10);
        link.near.device("down");
        thread::sleep(Duration::from_secs(1));
        link.near.device("up");
        let rest = |piece: &mut [u8]| {
            use std::io::Read;
            (&server).read_exact(piece).unwrap();
        };
        let mut piece = vec![0; MUCH - MUCH / 10];
        rest(&mut piece);
        assert!(piece == couplet_tests::pattern::bytes(1, MUCH)[MUCH / 10..]);
        send(&server, 2, 1000);
        server.shutdown(Shutdown::Write).unwrap();
        expect_all(&client, 2, 1000);
    });
    assert!(couplet.ended(1).contains("finished"));
}

/// All places of a pool are dialled again, each once: what waits for the link to come back is not
/// made more by waiting.
#[test]
fn a_pool_is_back_without_a_herd() {
    if !is_wanted() {
        return;
    }
    const PLACES: usize = 8;
    let mut link = Link::new(1400, r#"{"delay": 0.005}"#);
    let relay = link
        .far
        .within(|| TcpListener::bind((link.far.ip, 0)).unwrap());
    let dial = format!("dial:{}", relay.local_addr().unwrap());
    let _home = link.near.couplet(&[
        &format!("{dial},keep={PLACES},keep-alive=1s/1s/2"),
        "listen:0",
    ]);
    let pool: Vec<_> = (0..PLACES).map(|_| accept(&relay)).collect();
    link.cut();
    // Longer than keep-alive takes.
    thread::sleep(Duration::from_secs(6));
    link.set(r#"{"loss": 0}"#);
    let again: Vec<_> = (0..PLACES).map(|_| accept(&relay)).collect();
    // One that came too often would have come by now.
    thread::sleep(Duration::from_secs(2));
    relay.set_nonblocking(true).unwrap();
    let more = std::iter::from_fn(|| relay.accept().ok()).count();
    assert_eq!(more, 0, "{} came for {PLACES} places", again.len() + more);
    drop(pool);
}
