//! What every match-maker keeps to, as the docs of `engine` say it. Each check takes keys of its own.

use std::{fmt::Debug, time::Duration};

use couplet_connector::endpoint::Side;
use couplet_meeting::engine::{Answer, Offer, Request};
use tower::Service;

use super::{LEASE, ask, meet, offer};

/// A match-maker that the contract holds for.
pub(crate) trait Engine: Service<Request, Response = Answer, Error: Debug> + Clone {}
impl<E: Service<Request, Response = Answer, Error: Debug> + Clone> Engine for E {}

/// All of it. `pass` lets that much time pass.
pub(crate) async fn holds(engine: &impl Engine, pass: impl AsyncFn(Duration)) {
    the_second_finds_the_first(engine).await;
    sides_meet_as_they_say(engine).await;
    an_answer_is_given_again(engine).await;
    an_offer_is_found_once(engine).await;
    one_that_left_is_not_found(engine).await;
    one_that_was_put_back_is_found_again(engine).await;
    a_lease_ends_unless_it_is_renewed(engine, &pass).await;
    a_short_lease_does_not_end_a_long_one(engine, &pass).await;
    of_a_line_the_one_that_came_first_is_found_first(engine, &pass).await;
    a_line_keeps_to_leases_and_leaves(engine, &pass).await;
}

async fn the_second_finds_the_first(engine: &impl Engine) {
    let (one, other) = (offer(1, Side::A), offer(1, Side::B));
    assert_eq!(meet(engine, &one).await, Answer::Waits);
    assert_eq!(meet(engine, &offer(2, Side::B)).await, Answer::Waits);
    assert_eq!(meet(engine, &other).await, Answer::Found(one.peer()));
    // Neither is left.
    assert_eq!(meet(engine, &offer(1, Side::A)).await, Answer::Waits);
}

async fn sides_meet_as_they_say(engine: &impl Engine) {
    const SIDES: [Option<Side>; 3] = [Some(Side::A), Some(Side::B), None];
    let mut of = 10;
    for one in SIDES {
        for other in SIDES {
            of += 1;
            let (one, other) = (offer(of, one), offer(of, other));
            assert_eq!(meet(engine, &one).await, Answer::Waits);
            // Never itself.
            assert_eq!(meet(engine, &one).await, Answer::Waits);
            let expected = match one.meets(other.side) {
                true => Answer::Found(one.peer()),
                false => Answer::Waits,
            };
            assert_eq!(meet(engine, &other).await, expected);
        }
    }
}

async fn an_answer_is_given_again(engine: &impl Engine) {
    let (one, other) = (offer(30, Side::A), offer(30, Side::B));
    meet(engine, &one).await;
    for _ in 0..3 {
        assert_eq!(meet(engine, &other).await, Answer::Found(one.peer()));
    }
    assert_eq!(meet(engine, &offer(30, Side::A)).await, Answer::Waits);
}

async fn an_offer_is_found_once(engine: &impl Engine) {
    let waiting = [offer(31, Side::A), offer(31, Side::A)];
    for one in &waiting {
        meet(engine, one).await;
        meet(engine, one).await;
    }
    let mut found = Vec::new();
    for _ in 0..3 {
        if let Answer::Found(peer) = meet(engine, &offer(31, Side::B)).await {
            found.push(peer.ticket);
        }
    }
    found.sort();
    let mut tickets = waiting.map(|one| one.ticket);
    tickets.sort();
    assert_eq!(found, tickets);
}

async fn one_that_left_is_not_found(engine: &impl Engine) {
    let one = offer(32, Side::A);
    meet(engine, &one).await;
    for _ in 0..2 {
        assert_eq!(ask(engine, Request::Leave(one.clone())).await, Answer::Done);
    }
    assert_eq!(meet(engine, &offer(32, Side::B)).await, Answer::Waits);
}

async fn one_that_was_put_back_is_found_again(engine: &impl Engine) {
    let (one, other) = (offer(33, None), offer(33, Side::B));
    meet(engine, &one).await;
    assert_eq!(meet(engine, &other).await, Answer::Found(one.peer()));
    for _ in 0..2 {
        let back = Request::PutBack(other.clone(), one.peer());
        assert_eq!(ask(engine, back).await, Answer::Done);
    }
    let third = offer(33, Side::B);
    assert_eq!(meet(engine, &third).await, Answer::Found(one.peer()));
    assert_eq!(meet(engine, &offer(33, Side::B)).await, Answer::Waits);
}

async fn a_lease_ends_unless_it_is_renewed(engine: &impl Engine, pass: &impl AsyncFn(Duration)) {
    let (renewed, ends) = (offer(34, Side::A), offer(35, Side::A));
    meet(engine, &renewed).await;
    meet(engine, &ends).await;
    for _ in 0..3 {
        pass(LEASE / 2).await;
        assert_eq!(meet(engine, &renewed).await, Answer::Waits);
    }
    let found = meet(engine, &offer(34, Side::B)).await;
    assert_eq!(found, Answer::Found(renewed.peer()));
    assert_eq!(meet(engine, &offer(35, Side::B)).await, Answer::Waits);
}

async fn a_short_lease_does_not_end_a_long_one(
    engine: &impl Engine,
    pass: &impl AsyncFn(Duration),
) {
    let (mut long, short) = (offer(36, Side::A), offer(36, Side::A));
    long.lease = LEASE * 100;
    meet(engine, &long).await;
    meet(engine, &short).await;
    pass(LEASE * 2).await;
    let found = meet(engine, &offer(36, Side::B)).await;
    assert_eq!(found, Answer::Found(long.peer()));
    assert_eq!(meet(engine, &offer(36, Side::B)).await, Answer::Waits);
}

/// An offer of a connection that has waited so long.
fn in_line(of: u8, side: Side, waited: Duration) -> Offer {
    Offer {
        waited: Some(waited),
        ..offer(of, side)
    }
}

const LONG: Duration = Duration::from_secs(3600);

async fn of_a_line_the_one_that_came_first_is_found_first(
    engine: &impl Engine,
    pass: &impl AsyncFn(Duration),
) {
    let minute = Duration::from_secs(60);
    let waiting = [3, 1, 4, 0, 2].map(|place| in_line(37, Side::A, LONG - minute * place));
    for one in &waiting {
        assert_eq!(meet(engine, one).await, Answer::Waits);
    }
    // Renewed in any order, their order stays.
    pass(LEASE / 3).await;
    for one in waiting.iter().rev() {
        let renewed = Offer {
            waited: one.waited.map(|waited| waited + LEASE / 3),
            ..one.clone()
        };
        assert_eq!(meet(engine, &renewed).await, Answer::Waits);
    }
    for at in [3, 1, 4, 0, 2] {
        let other = in_line(37, Side::B, Duration::ZERO);
        let found = Answer::Found(waiting[at].peer());
        assert_eq!(meet(engine, &other).await, found);
        // Asked again, it says the same.
        assert_eq!(meet(engine, &other).await, found);
    }
    let last = in_line(37, Side::B, Duration::ZERO);
    assert_eq!(meet(engine, &last).await, Answer::Waits);
}

async fn a_line_keeps_to_leases_and_leaves(engine: &impl Engine, pass: &impl AsyncFn(Duration)) {
    let [ends, leaves, back] = [0; 3].map(|_| in_line(38, Side::A, LONG));
    let mut stays = in_line(38, Side::A, Duration::ZERO);
    stays.lease = LEASE * 100;
    for one in [&ends, &stays] {
        assert_eq!(meet(engine, one).await, Answer::Waits);
    }
    pass(LEASE * 2).await;
    for one in [&leaves, &back] {
        assert_eq!(meet(engine, one).await, Answer::Waits);
    }
    assert_eq!(ask(engine, Request::Leave(leaves)).await, Answer::Done);
    let other = in_line(38, Side::B, Duration::ZERO);
    assert_eq!(meet(engine, &other).await, Answer::Found(back.peer()));
    // Put back, it is behind the others.
    assert_eq!(
        ask(engine, Request::PutBack(other, back.peer())).await,
        Answer::Done
    );
    for found in [stays, back] {
        let other = in_line(38, Side::B, Duration::ZERO);
        assert_eq!(meet(engine, &other).await, Answer::Found(found.peer()));
    }
    let other = in_line(38, Side::B, Duration::ZERO);
    assert_eq!(meet(engine, &other).await, Answer::Waits);
}
