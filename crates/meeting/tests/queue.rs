//! Clients of two listening sides at several nodes, joined in the order in which they came.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod helper;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use couplet_connector::{
    BoxError, Connector, Handle,
    endpoint::{Conn, Io as _, Origin, Side, memory},
    pairing::{Keyed, WhenFull, switchboard},
    serve,
};
use couplet_meeting::{Cluster, MemoryEngine, Node, Secret, engine::NodeAddr};
use helper::world::{Engine, honest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::sleep,
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);

struct Queue {
    sides: Vec<[memory::Dial; 2]>,
    relays: Vec<Handle>,
    clusters: Vec<Cluster>,
}

impl Queue {
    fn start(nodes: usize, engine: &Engine) -> Self {
        let ports: Arc<Mutex<Vec<memory::Dial>>> = Arc::default();
        let mut queue = Self {
            sides: Vec::new(),
            relays: Vec::new(),
            clusters: Vec::new(),
        };
        for number in 0..nodes {
            let ((a, listen_a), (b, listen_b)) = (memory::endpoint(), memory::endpoint());
            let (port, accepted) = memory::endpoint();
            ports.lock().unwrap().push(port);
            let (switchboard, notices, attachment) = switchboard();
            let engine = Arc::clone(engine);
            let engine = service_fn(move |request| engine(number, request));
            let others = Arc::clone(&ports);
            let dial = service_fn(move |home: NodeAddr| {
                let to: usize = home.as_str().parse().unwrap();
                let to = others.lock().unwrap()[to].clone();
                async move { Ok::<_, BoxError>(Conn::new(to.connect().await?, Origin::Dialled)) }
            });
            let home = NodeAddr::try_from(&*number.to_string()).unwrap();
            let secret = Secret::new(*b"the secret of all");
            let node = Node::new(&number.to_string(), home, secret, engine, dial);
            let cluster = node.start_queue("jobs", switchboard, notices);
            tokio::spawn(serve(accepted, cluster.port()));
            let apart = Keyed::new(|info| info.side)
                .side(|_| Some(()))
                .per_key(64, WhenFull::Refuse);
            let relay = Connector::listen_listen(listen_a, listen_b).by_key_with(apart, attachment);
            queue.sides.push([a, b]);
            queue.relays.push(relay.start());
            queue.clusters.push(cluster);
        }
        queue
    }

    /// A client comes to a side of a node, and is told its partner's number.
    async fn come(&self, node: usize, side: Side, number: u8) -> JoinHandle<io::Result<u8>> {
        let dial = self.sides[node][side as usize].clone();
        let coming = tokio::spawn(async move {
            let mut io = dial.connect().await?;
            io.write_all(&[number]).await?;
            io.read_u8().await
        });
        // The next one comes later.
        sleep(Duration::from_millis(10)).await;
        coming
    }
}

fn away(engine: Engine, is_away: &Arc<AtomicBool>) -> Engine {
    let is_away = Arc::clone(is_away);
    Arc::new(move |node, request| match is_away.load(Ordering::SeqCst) {
        true => Box::pin(async { Err("away".into()) }),
        false => engine(node, request),
    })
}

#[tokio::test(start_paused = true)]
async fn the_first_of_each_side_are_joined_first_whichever_node_each_came_to() {
    let engine = MemoryEngine::new();
    let queue = Queue::start(3, &honest(engine.clone()));
    for (sides, first) in [([Side::A, Side::B], 0), ([Side::B, Side::A], 50)] {
        let mut waiting = Vec::new();
        for (number, node) in (first..).zip([0, 2, 2, 1, 0, 1]) {
            waiting.push(queue.come(node, sides[0], number).await);
        }
        // Renewed a few times, each in its time.
        sleep(SECOND * 40).await;
        assert_eq!(engine.len(), 6);
        for (waits, (number, node)) in waiting.into_iter().zip((first..).zip([2, 0, 1, 1, 2, 0])) {
            let partner = queue.come(node, sides[1], 100 + number).await;
            assert_eq!(partner.await.unwrap().unwrap(), number);
            assert_eq!(waits.await.unwrap().unwrap(), 100 + number);
        }
        assert!(engine.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn two_of_one_side_never_meet() {
    let queue = Queue::start(2, &honest(MemoryEngine::new()));
    let mut waiting = Vec::new();
    for (number, node) in (0..).zip([0, 1, 0, 1]) {
        waiting.push(queue.come(node, Side::A, number).await);
    }
    sleep(SECOND * 60).await;
    assert!(waiting.iter().all(|waits| !waits.is_finished()));
    assert_eq!(queue.clusters[0].offered() + queue.clusters[1].offered(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_client_that_left_is_the_next_ones() {
    let engine = MemoryEngine::new();
    let queue = Queue::start(2, &honest(engine.clone()));
    let dial = queue.sides[0][0].clone();
    let mut leaves = dial.connect().await.unwrap();
    leaves.write_all(&[1]).await.unwrap();
    sleep(SECOND).await;
    let second = queue.come(0, Side::A, 2).await;
    leaves.abort();
    drop(leaves);
    // A reset behind a byte is noticed within a second.
    sleep(SECOND * 3).await;
    assert_eq!(engine.len(), 1);
    let partner = queue.come(1, Side::B, 3).await;
    assert_eq!(partner.await.unwrap().unwrap(), 2);
    assert_eq!(second.await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn while_the_match_maker_is_away_each_node_joins_its_own_in_their_order() {
    let is_away = Arc::new(AtomicBool::new(false));
    let queue = Queue::start(2, &away(honest(MemoryEngine::new()), &is_away));
    let there = queue.come(1, Side::A, 9).await;
    is_away.store(true, Ordering::SeqCst);
    let mut waiting = Vec::new();
    for number in 1..4 {
        waiting.push(queue.come(0, Side::A, number).await);
    }
    sleep(SECOND * 20).await;
    for (waits, number) in waiting.into_iter().zip(1..) {
        let partner = queue.come(0, Side::B, 100 + number).await;
        assert_eq!(partner.await.unwrap().unwrap(), number);
        assert_eq!(waits.await.unwrap().unwrap(), 100 + number);
    }
    // All of both sides at once: none is joined twice.
    let mut both = Vec::new();
    for number in 0..10 {
        for (side, number) in [(Side::A, number), (Side::B, 200 + number)] {
            let dial = queue.sides[0][side as usize].clone();
            both.push(tokio::spawn(async move {
                let mut io = dial.connect().await.unwrap();
                io.write_all(&[number]).await.unwrap();
                (number, io.read_u8().await.unwrap())
            }));
        }
    }
    let mut met = Vec::new();
    for client in both {
        met.push(client.await.unwrap());
    }
    for (number, partner) in &met {
        assert!(met.contains(&(*partner, *number)), "{met:?}");
        assert_ne!(*number >= 200, *partner >= 200);
    }
    let last = queue.come(0, Side::B, 110).await;
    sleep(SECOND * 20).await;
    is_away.store(false, Ordering::SeqCst);
    assert_eq!(last.await.unwrap().unwrap(), 9);
    assert_eq!(there.await.unwrap().unwrap(), 110);
    for relay in &queue.relays {
        assert_eq!(relay.snapshot().a.waiting + relay.snapshot().b.waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_offer_of_a_client_that_is_gone_costs_the_next_no_place() {
    let engine = MemoryEngine::new();
    let truth = honest(engine);
    let stale = Arc::new(Mutex::new(None));
    let told = Arc::clone(&stale);
    // Gives the first of a side out twice.
    let liar: Engine = Arc::new(move |node, request| {
        use couplet_meeting::engine::{Answer, Request};
        let (truth, told) = (Arc::clone(&truth), Arc::clone(&told));
        Box::pin(async move {
            let is_meet = matches!(request, Request::Meet(_));
            let again = told.lock().unwrap().take();
            if let (true, Some(again)) = (is_meet, again) {
                return Ok(again);
            }
            let answer = truth(node, request).await?;
            if let Answer::Found(_) = &answer {
                *told.lock().unwrap() = Some(answer.clone());
            }
            Ok(answer)
        })
    });
    let queue = Queue::start(2, &liar);
    let mut waiting = Vec::new();
    for (number, node) in (0..).zip([0, 1, 0, 1]) {
        waiting.push(queue.come(node, Side::A, number).await);
    }
    let mut partners = Vec::new();
    for (number, node) in (100..).zip([0, 0, 1, 1]) {
        partners.push(queue.come(node, Side::B, number).await);
        sleep(SECOND).await;
    }
    for (waits, (partner, number)) in waiting.into_iter().zip(partners.into_iter().zip(0..)) {
        assert_eq!(partner.await.unwrap().unwrap(), number);
        assert_eq!(waits.await.unwrap().unwrap(), 100 + number);
    }
}
