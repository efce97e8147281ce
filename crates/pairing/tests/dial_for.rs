//! Each connection brings its own partner.

mod helper;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use couplet_endpoint::{
    Info, Origin, Side, find_cause, is_caused_by,
    memory::{self},
};
use couplet_pairing::{DialReply, PairError, PairingEnded, Policy};
use futures::StreamExt;
use helper::{
    conn,
    dials::{Came, Set},
    hears_reset, joined, next, settle, soon,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_pending, assert_ready_err, task};
use tower::{Service, ServiceExt};

// ===== to each its own =====

#[tokio::test(start_paused = true)]
async fn every_client_has_its_own_partner_in_any_order_of_dials() {
    for side in [Side::A, Side::B] {
        let mut set = Set::new(side, Policy::default());
        let mut came: Vec<_> = [(); 4].map(|()| set.come()).into();
        assert_eq!(set.waiting(), [4, 0]);
        // The last first.
        while let Some(Came {
            id,
            mut peer,
            joining,
            dialling,
        }) = came.pop()
        {
            assert_eq!(dialling.client.id, id);
            assert_eq!(dialling.client.side, Some(side));
            let (partner, mut partner_peer) = dialling.connects();
            let (pair, joined_well) = tokio::join!(next(&mut set.pairs), joining);
            joined_well.unwrap();

            let expected = match side {
                Side::A => [id, partner],
                Side::B => [partner, id],
            };
            assert_eq!(joined(&pair).map(|info| info.id), expected);
            assert_eq!(
                joined(&pair).map(|info| info.side),
                [Some(Side::A), Some(Side::B)]
            );
            let (mut io, mut partner_io) = match side {
                Side::A => (pair.a, pair.b),
                Side::B => (pair.b, pair.a),
            };
            peer.write_all(b"c").await.unwrap();
            assert_eq!(soon(io.read_u8()).await.unwrap(), b'c');
            partner_peer.write_all(b"p").await.unwrap();
            assert_eq!(soon(partner_io.read_u8()).await.unwrap(), b'p');
        }
        assert_eq!(set.waiting(), [0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_info_of_the_layers_reaches_the_dial() {
    let mut set = Set::new(Side::A, Policy::default());
    let (mut conn, _peer) = conn();
    conn.info.extensions.insert("a key");
    let _joining = set.service.ready().await.unwrap().call(conn);
    let dialling = set.dials.next();
    assert_eq!(dialling.client.extensions.get(), Some(&"a key"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_dial_resets_its_client_alone() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut fails = set.come();
    let lives = set.come();
    fails
        .dialling
        .fails(io::Error::from(io::ErrorKind::ConnectionRefused));
    let error = assert_ready_err!(fails.joining.poll());
    assert!(matches!(error, PairError::Partner { .. }));
    let cause = find_cause::<io::Error>(&error).expect("it names the cause");
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    hears_reset(&mut fails.peer).await;
    assert_eq!(set.waiting(), [1, 0]);

    let (partner, _partner_peer) = lives.dialling.connects();
    let (pair, joined_well) = tokio::join!(next(&mut set.pairs), lives.joining);
    joined_well.unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [lives.id, partner]);
}

// ===== clients that wait for a reply =====

fn told(info: &mut Info) {
    DialReply::new(|dialled| match dialled {
        Ok(_) => "yes".into(),
        Err(error) => format!("no: {error}").into(),
    })
    .put_into(info);
}

#[tokio::test(start_paused = true)]
async fn a_reply_comes_before_the_join_and_all_of_the_partners_bytes() {
    for side in [Side::A, Side::B] {
        let mut set = Set::new(side, Policy::default());
        let mut came = set.come_with(told);
        let (_, mut partner_peer) = came.dialling.connects();
        partner_peer.write_all(b"hello").await.unwrap();
        // The pair is not asked for yet, and the client has its reply already.
        assert_pending!(came.joining.poll());
        let mut heard = [0; 3];
        soon(came.peer.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"yes");
        let (pair, joined_well) = tokio::join!(next(&mut set.pairs), came.joining);
        joined_well.unwrap();
        let mut partner = match side {
            Side::A => pair.b,
            Side::B => pair.a,
        };
        assert_eq!(soon(partner.read_u8()).await.unwrap(), b'h');
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_a_failed_dial_ends_the_stream_and_takes_no_place() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut came = set.come_with(told);
    came.dialling.fails("no route");
    let joining = tokio::spawn(came.joining);
    let mut heard = String::new();
    soon(came.peer.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "no: no route");
    assert_eq!(set.waiting(), [0, 0], "while the client has yet to close");
    drop(came.peer);
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, PairError::Asked { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_reply_resets_its_partner() {
    let mut set = Set::new(Side::A, Policy::default());
    let came = set.come_with(told);
    let (_, mut partner_peer) = came.dialling.connects();
    drop(came.peer);
    let error = came.joining.await.unwrap_err();
    assert!(matches!(error, PairError::Reply(_)));
    hears_reset(&mut partner_peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_request_was_taken_may_end_its_stream() {
    let mut set = Set::new(Side::A, Policy::default());
    for has_spoken in [true, false] {
        let mut came = set.come_with(|info| info.has_spoken = has_spoken);
        came.peer.shutdown().await.unwrap();
        let joining = tokio::spawn(came.joining);
        settle().await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        assert_eq!(joining.is_finished(), !has_spoken);
    }
}

// ===== the end =====

#[tokio::test(start_paused = true)]
async fn the_pairing_ends_when_its_pairs_are_dropped() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(2));
    let mut dialled = set.come();
    let mut dials = set.come();
    let _partner = dialled.dialling.connects();
    assert_pending!(dialled.joining.poll());
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());

    drop(set.pairs);
    for (joining, peer) in [
        (&mut dialled.joining, &mut dialled.peer),
        // Even if its dial would never end.
        (&mut dials.joining, &mut dials.peer),
    ] {
        assert!(joining.is_woken());
        let error = assert_ready_err!(joining.poll());
        assert!(is_caused_by::<PairingEnded>(&error));
        hears_reset(peer).await;
    }
    assert!(dials.dialling.answer.is_closed());
    assert!(free.is_woken());
    let error = assert_ready_err!(free.poll());
    assert!(is_caused_by::<PairingEnded>(&error));
}

#[tokio::test(start_paused = true)]
async fn the_pairs_end_after_the_last_dial() {
    let mut set = Set::new(Side::A, Policy::default());
    let came = set.come();
    drop(set.service);
    let mut asking = task::spawn(set.pairs.next());
    assert_pending!(asking.poll());
    let _partner = came.dialling.connects();
    let (joined_well, pair) = tokio::join!(came.joining, asking);
    joined_well.unwrap();
    assert!(pair.is_some());
    assert!(soon(set.pairs.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_can_dial() {
    let (dial, mut listen) = memory::endpoint();
    let dialled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dialled);
    let (mut service, mut pairs) = couplet_pairing::dial_for_b(
        Policy::default(),
        dial.map_request(move |info: Info| {
            count.fetch_add(1, Ordering::Relaxed);
            info
        }),
    );
    let (conn, _peer) = conn();
    let (joined_well, pair) = tokio::join!(
        async { service.ready().await?.call(conn).await },
        next(&mut pairs)
    );
    joined_well.unwrap();
    assert_eq!(
        joined(&pair).map(|info| info.origin),
        [Origin::Dialled, Origin::Accepted]
    );
    assert!(soon(listen.next()).await.is_some());
    assert_eq!(dialled.load(Ordering::Relaxed), 1);
}
