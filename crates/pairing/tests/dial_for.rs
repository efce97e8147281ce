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
    BoxError, Conn, ConnId, Info, Origin, Replay, Side, find_cause, is_caused_by,
    memory::{self, MemoryStream},
};
use couplet_pairing::{DialFor, DialReply, Pair, PairError, PairingEnded, Pairs, Policy};
use futures::{StreamExt, future::BoxFuture};
use helper::{conn, hears_reset, joined, next, settle, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit, service_fn, util::BoxCloneService};

type Connect = BoxCloneService<Info, Conn<MemoryStream>, BoxError>;
type Joined = Pair<Replay<MemoryStream>, Replay<MemoryStream>>;

/// A dial under way: its client, and how it ends.
struct Dialling {
    for_whom: Info,
    answer: oneshot::Sender<Result<Conn<MemoryStream>, BoxError>>,
}

/// Dials that end as the test says; never, if it says nothing.
struct Dials {
    begun: mpsc::UnboundedReceiver<Dialling>,
}

// ===== impl Dialling =====

impl Dialling {
    /// It has connected: the partner's number and its peer.
    fn connects(self) -> (ConnId, MemoryStream) {
        let (io, peer) = memory::connection(64);
        let partner = Conn::new(io, Origin::Dialled);
        let id = partner.info.id;
        assert!(self.answer.send(Ok(partner)).is_ok(), "still wanted");
        (id, peer)
    }

    fn fails(self, error: impl Into<BoxError>) {
        assert!(self.answer.send(Err(error.into())).is_ok(), "still wanted");
    }
}

// ===== impl Dials =====

impl Dials {
    fn new() -> (Connect, Self) {
        let (begin, begun) = mpsc::unbounded_channel();
        let connect = service_fn(move |for_whom| {
            let (answer, answered) = oneshot::channel();
            let begun = begin.send(Dialling { for_whom, answer });
            async move {
                begun?;
                answered.await?
            }
        });
        (BoxCloneService::new(connect), Self { begun })
    }

    fn next(&mut self) -> Dialling {
        self.begun.try_recv().expect("a dial has begun")
    }
}

/// What a test works with, one side or the other.
struct Set {
    /// The side whose connections come by themselves.
    side: Side,
    service: DialFor<MemoryStream, MemoryStream, Connect, Joined>,
    pairs: Pairs<Replay<MemoryStream>, Replay<MemoryStream>>,
    dials: Dials,
}

/// A connection that came, and has its partner dialled.
struct Came {
    id: ConnId,
    peer: MemoryStream,
    joining: task::Spawn<BoxFuture<'static, Result<(), PairError>>>,
    dialling: Dialling,
}

impl Set {
    fn new(side: Side, policy: Policy) -> Self {
        let (connect, dials) = Dials::new();
        let (service, pairs) = match side {
            Side::A => couplet_pairing::dial_for_a(policy, connect),
            Side::B => couplet_pairing::dial_for_b(policy, connect),
        };
        Self {
            side,
            service,
            pairs,
            dials,
        }
    }

    fn come(&mut self) -> Came {
        self.come_with(|_| {})
    }

    fn come_with(&mut self, learns: impl FnOnce(&mut Info)) -> Came {
        let (mut conn, peer) = conn();
        learns(&mut conn.info);
        let id = conn.info.id;
        assert_ready_ok!(task::spawn(self.service.ready()).poll());
        let mut joining = task::spawn(self.service.call(conn));
        assert_pending!(joining.poll());
        let dialling = self.dials.next();
        Came {
            id,
            peer,
            joining,
            dialling,
        }
    }

    fn waiting(&self) -> [u64; 2] {
        [self.side, !self.side].map(|side| self.pairs.counts().waiting(side))
    }
}

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
            assert_eq!(dialling.for_whom.id, id);
            assert_eq!(dialling.for_whom.side, Some(side));
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
    assert_eq!(dialling.for_whom.extensions.get(), Some(&"a key"));
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
        // Nobody has asked for the pair yet, and the client is told already.
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

// ===== side by side =====

#[tokio::test(start_paused = true)]
async fn dials_that_never_end_delay_no_other_until_every_slot_is_taken() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(3));
    let _black_holes = [set.come(), set.come()];
    for _ in 0..5 {
        let came = set.come();
        let _partner = came.dialling.connects();
        let (pair, _) = tokio::join!(next(&mut set.pairs), came.joining);
        assert_eq!(joined(&pair)[0].id, came.id);
    }
    let mut last = set.come();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    last.dialling.fails("no route");
    assert_ready_err!(last.joining.poll());
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_dial_frees_its_slot() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    let mut came = set.come();
    let mut free = task::spawn(set.service.ready());
    assert_pending!(free.poll());
    drop(came.joining);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
    drop(free);
    assert_eq!(set.waiting(), [0, 0]);
    assert!(came.dialling.answer.is_closed());
    hears_reset(&mut came.peer).await;
}

// ===== readiness =====

#[tokio::test(start_paused = true)]
async fn a_reserved_slot_is_given_back_on_drop_and_never_cloned() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
    let mut clone = set.service.clone();
    let mut free = task::spawn(clone.ready());
    assert_pending!(free.poll());
    drop(set.service);
    assert!(free.is_woken());
    assert_ready_ok!(free.poll());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "poll_ready comes before call")]
async fn a_clone_holds_no_slot() {
    let mut set = Set::new(Side::A, Policy::default());
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
    let (conn, _peer) = conn();
    drop(set.service.clone().call(conn));
}

#[tokio::test(start_paused = true)]
async fn the_dial_must_be_ready() {
    let (connect, mut dials) = Dials::new();
    let (mut service, _pairs) = couplet_pairing::dial_for_a::<MemoryStream, _, _>(
        Policy::default(),
        ConcurrencyLimit::new(connect, 1),
    );
    // Its readiness is reserved with the place, and given back with it.
    assert_ready_ok!(task::spawn(service.ready()).poll());
    let mut other = service.clone();
    let mut ready = task::spawn(other.ready());
    assert_pending!(ready.poll());
    drop(service);
    assert!(ready.is_woken());
    assert_ready_ok!(ready.poll());
    drop(ready);

    // Taken by a dial, it is free when that has ended.
    let (conn, _peer) = conn();
    let mut joining = task::spawn(other.call(conn));
    assert_pending!(joining.poll());
    let mut ready = task::spawn(other.ready());
    assert_pending!(ready.poll());
    dials.next().fails("no route");
    assert_ready_err!(joining.poll());
    assert!(ready.is_woken());
    assert_ready_ok!(ready.poll());
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_failed_for_good_returns_its_error() {
    #[derive(Debug)]
    struct Broken;
    impl Service<Info> for Broken {
        type Response = Conn<MemoryStream>;
        type Error = io::Error;
        type Future = std::future::Pending<io::Result<Conn<MemoryStream>>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
        }

        fn call(&mut self, _: Info) -> Self::Future {
            unreachable!("it was never ready")
        }
    }
    let (mut service, _pairs) =
        couplet_pairing::dial_for_a::<MemoryStream, _, _>(Policy::default(), Broken);
    let error = assert_ready_err!(task::spawn(service.ready()).poll());
    assert!(is_caused_by::<io::Error>(&error));
}

#[tokio::test(start_paused = true)]
async fn no_bound_is_too_large() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(usize::MAX));
    let _came = set.come();
}

// ===== joined when asked for =====

#[tokio::test(start_paused = true)]
async fn no_pair_is_joined_until_one_is_requested() {
    let mut set = Set::new(Side::A, Policy::default().max_waiting(1));
    let mut came = set.come();
    let _partner = came.dialling.connects();
    assert_pending!(came.joining.poll());
    assert_eq!(set.waiting(), [1, 0]);
    assert_pending!(task::spawn(set.service.ready()).poll());

    let mut asking = task::spawn(set.pairs.next());
    assert_pending!(asking.poll());
    assert!(came.joining.is_woken());
    assert_ready_ok!(came.joining.poll());
    assert!(asking.is_woken());
    soon(asking).await.unwrap().unwrap();
    assert_eq!(set.waiting(), [0, 0]);
    assert_ready_ok!(task::spawn(set.service.ready()).poll());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_dropped_dial_is_answered_by_another() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut first = set.come();
    let mut second = set.come();
    let _first_partner = first.dialling.connects();
    let (partner, _partner_peer) = second.dialling.connects();
    assert_pending!(first.joining.poll());
    assert_pending!(second.joining.poll());

    let mut asking = task::spawn(set.pairs.next());
    assert_pending!(asking.poll());
    assert!(first.joining.is_woken());
    assert!(!second.joining.is_woken());
    drop(first.joining);
    assert!(second.joining.is_woken());
    assert_ready_ok!(second.joining.poll());
    let pair = soon(asking).await.unwrap().unwrap();
    assert_eq!(joined(&pair).map(|info| info.id), [second.id, partner]);
}

#[tokio::test(start_paused = true)]
async fn one_request_gets_one_pair() {
    let mut set = Set::new(Side::A, Policy::default());
    let mut came = [set.come(), set.come(), set.come()].map(|came| {
        let partner = came.dialling.connects();
        (tokio::spawn(came.joining), partner)
    });
    settle().await;
    for asked in 1..=3 {
        next(&mut set.pairs).await;
        settle().await;
        let joined = came.iter_mut().filter(|(task, _)| task.is_finished());
        assert_eq!(joined.count(), asked);
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
