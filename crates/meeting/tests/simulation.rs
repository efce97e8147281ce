//! Many clients at several nodes, with everything that can go wrong, against a model: never two of the same side,
//! never across keys, never a client twice, and no client lost whose partner is there.
//!
//! `COUPLET_SIM_SEEDS=FIRST..END` runs other seeds, and more of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod helper;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use couplet_connector::{BoxError, endpoint::Side};
use couplet_meeting::{
    MemoryEngine,
    engine::{Answer, Peer, Request},
};
use fastrand::Rng;
use futures::FutureExt;
use helper::world::{Engine, LEASE, Link, Outcome, World, honest};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

/// What may go wrong.
#[derive(Clone, Copy, Default)]
struct Faults {
    /// Of the match-maker's requests, in a hundred: each kind of lie.
    lies: u32,
    /// Nodes die and come again.
    deaths: bool,
    /// Links between nodes are slow or cut.
    links: bool,
    /// Clients leave while they wait.
    leavers: bool,
}

#[derive(Clone, Copy)]
struct Client {
    key: u64,
    side: Side,
}

/// A match-maker that lies while it may.
fn liar(rng: Arc<Mutex<Rng>>, lies: u32, may: Arc<AtomicBool>) -> Engine {
    let memory = MemoryEngine::new();
    let truth = honest(memory.clone());
    let last = Arc::new(Mutex::new(None::<Peer>));
    Arc::new(move |node, request| {
        let (rng, truth, last) = (Arc::clone(&rng), Arc::clone(&truth), Arc::clone(&last));
        let (memory, lies) = (
            memory.clone(),
            if may.load(Ordering::Relaxed) { lies } else { 0 },
        );
        async move {
            let draw = || rng.lock().unwrap().u32(0..100) < lies;
            if draw() {
                let by = rng.lock().unwrap().u64(0..2000);
                sleep(Duration::from_millis(by)).await;
            }
            if draw() {
                return Err(BoxError::from("request lost"));
            }
            if draw() && rng.lock().unwrap().u32(0..10) == 0 {
                memory.clear();
            }
            let answer = truth(node, request.clone()).await?;
            if draw() {
                return Err("reply lost".into());
            }
            if let Answer::Found(peer) = &answer {
                *last.lock().unwrap() = Some(peer.clone());
                // Given to another, too.
                if draw() {
                    let again = Request::PutBack(request.offer().clone(), peer.clone());
                    truth(node, again).await?;
                }
            }
            if answer == Answer::Waits && draw() {
                // It is forgotten.
                truth(node, Request::Leave(request.offer().clone())).await?;
            }
            if draw() && matches!(request, Request::Meet(_)) {
                // Any that was found before, of any key and side: a ticket is a name of its own.
                if let Some(peer) = last.lock().unwrap().clone() {
                    return Ok(Answer::Found(peer));
                }
            }
            Ok(answer)
        }
        .boxed()
    })
}

/// One life of the world. Returns how many pairs there were.
async fn live(seed: u64, nodes: usize, clients: u64, faults: Faults) -> usize {
    let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
    let wrong_time = Arc::new(AtomicBool::new(true));
    let engine = liar(Arc::clone(&rng), faults.lies, Arc::clone(&wrong_time));
    let (link_rng, links_fail) = (Arc::clone(&rng), Arc::clone(&wrong_time));
    let world = World::new(nodes, engine, move |_, _| {
        if !faults.links || !links_fail.load(Ordering::Relaxed) {
            return Link::Up;
        }
        let mut rng = link_rng.lock().unwrap();
        match rng.u32(0..10) {
            0 | 1 => Link::Cut,
            2..=4 => Link::Slow(Duration::from_millis(rng.u64(0..7000))),
            _ => Link::Up,
        }
    });
    let all = Arc::new(Mutex::new(BTreeMap::new()));
    let mut living = JoinSet::new();
    for number in 0..clients {
        let (key, side, node, after, patience) = {
            let mut rng = rng.lock().unwrap();
            let side = if number % 2 == 0 { Side::A } else { Side::B };
            let key = rng.u64(0..clients / 6 + 1);
            // As many of each side have each key, so that all can meet.
            let key = if number % 2 == 0 {
                key
            } else {
                all_key(&all, number - 1)
            };
            let patience = (faults.leavers && rng.u32(0..5) == 0).then(|| rng.u64(0..20_000));
            (key, side, rng.usize(0..nodes), rng.u64(0..30_000), patience)
        };
        all.lock().unwrap().insert(number, Client { key, side });
        let world = world.clone();
        living.spawn(async move {
            sleep(Duration::from_millis(after)).await;
            let patience = patience.map_or(Duration::MAX, Duration::from_millis);
            let outcome = timeout(patience, world.client(number, node, key, side)).await;
            (number, outcome.ok())
        });
    }
    if faults.deaths {
        let (world, rng) = (world.clone(), Arc::clone(&rng));
        tokio::spawn(async move {
            for _ in 0..8 {
                let (after, node) = {
                    let mut rng = rng.lock().unwrap();
                    (rng.u64(500..4000), rng.usize(0..nodes))
                };
                sleep(Duration::from_millis(after)).await;
                world.kill(node).await;
                sleep(Duration::from_millis(after / 4)).await;
                world.start(node);
            }
        });
    }
    sleep(SECOND * 60).await;
    wrong_time.store(false, Ordering::Relaxed);
    // All that can meet do so within a lease, and a pause or two.
    sleep(LEASE + SECOND * 10).await;
    let mut outcomes = HashMap::new();
    while let Some(done) = living.try_join_next() {
        let (number, outcome) = done.expect("no client panics");
        outcomes.insert(number, outcome);
    }
    check(seed, &all.lock().unwrap(), &outcomes, &world, faults);
    for node in 0..nodes {
        world.kill(node).await;
    }
    outcomes
        .values()
        .filter(|it| matches!(it, Some(Outcome::Met(_))))
        .count()
        / 2
}

fn all_key(all: &Mutex<BTreeMap<u64, Client>>, number: u64) -> u64 {
    all.lock().unwrap()[&number].key
}

fn check(
    seed: u64,
    all: &BTreeMap<u64, Client>,
    outcomes: &HashMap<u64, Option<Outcome>>,
    world: &World,
    faults: Faults,
) {
    // Never a wrong pair: the partner is of the same key and the other side, and names no other.
    for (number, outcome) in outcomes {
        if let Some(Outcome::Met(partner)) = outcome {
            let (one, other) = (all[number], all[partner]);
            assert_eq!(
                one.key, other.key,
                "seed {seed}: {number} met {partner} across keys"
            );
            assert_ne!(
                one.side, other.side,
                "seed {seed}: {number} met {partner} of its side"
            );
            match outcomes.get(partner) {
                Some(Some(Outcome::Met(met))) => {
                    assert_eq!(met, number, "seed {seed}: {partner} is doubled");
                }
                // A partner may have died since.
                lost => assert!(
                    faults.deaths || faults.leavers,
                    "seed {seed}: {number} met {partner}, which says {lost:?}"
                ),
            }
        }
    }
    for (met, by) in world.met() {
        assert!(by.len() <= 1, "seed {seed}: {met} was met by {by:?}");
    }
    // No client is dropped by a node that lives.
    if !faults.deaths && !faults.leavers {
        for (number, outcome) in outcomes {
            assert!(
                matches!(outcome, Some(Outcome::Met(_))),
                "seed {seed}: {number}: {outcome:?}"
            );
        }
    }
    // No client is lost whose partner is there.
    let mut waiting = HashMap::<u64, [Vec<u64>; 2]>::new();
    for (number, client) in all {
        if !outcomes.contains_key(number) {
            waiting.entry(client.key).or_default()[client.side as usize].push(*number);
        }
    }
    for (key, [a, b]) in waiting {
        assert!(
            a.is_empty() || b.is_empty(),
            "seed {seed}: key {key}: {a:?} and {b:?} still wait"
        );
    }
}

fn run(default: std::ops::Range<u64>, nodes: usize, clients: u64, faults: Faults) {
    let seeds = std::env::var("COUPLET_SIM_SEEDS").ok();
    let seeds = seeds.map_or(default, |seeds| {
        let (first, end) = seeds.split_once("..").expect("FIRST..END");
        first.parse().unwrap()..end.parse().unwrap()
    });
    let mut pairs = 0;
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        pairs += runtime.block_on(live(seed, nodes, clients, faults));
    }
    println!("{pairs} pairs");
    assert!(pairs > 0);
}

#[test]
fn an_honest_match_maker_loses_nobody() {
    run(0..4, 3, 120, Faults::default());
}

#[test]
fn a_match_maker_that_lies_makes_no_wrong_pair_and_loses_nobody() {
    let faults = Faults {
        lies: 15,
        ..Faults::default()
    };
    run(0..8, 3, 120, faults);
}

#[test]
fn links_that_are_slow_or_cut_make_no_wrong_pair_and_lose_nobody() {
    let faults = Faults {
        links: true,
        ..Faults::default()
    };
    run(0..8, 3, 120, faults);
}

#[test]
fn clients_that_leave_and_nodes_that_die_make_no_wrong_pair_and_lose_nobody_else() {
    let faults = Faults {
        deaths: true,
        leavers: true,
        ..Faults::default()
    };
    run(0..8, 4, 160, faults);
}

#[test]
fn all_of_it_at_once_makes_no_wrong_pair_and_loses_nobody_else() {
    let faults = Faults {
        lies: 15,
        deaths: true,
        links: true,
        leavers: true,
    };
    run(0..8, 4, 160, faults);
}
