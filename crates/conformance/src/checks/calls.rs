//! How calls of the layer begin, end and are dropped.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::bytes::hears;
use crate::{
    Trial,
    innermost::Relays,
    rig::{Broken, Kind, Subject, Wires, chain, soon, stay},
    wire::{Cut, Wire},
};

/// After this many polls, a call is given up at the latest.
const POLLS: usize = 200;

/// As often is readiness reserved and given back.
const RESERVES: usize = 2000;

/// Long enough for whatever is still at work to end.
const SETTLE: Duration = Duration::from_secs(1);

impl Trial {
    /// The wires of a call, the peers' ends, and those that the layer holds.
    fn wires(&self, cut: Cut) -> (Wires, Vec<Wire>, Vec<std::sync::Weak<()>>) {
        let (far, far_peer) = Wire::pair(cut);
        match self.rig.kind {
            Kind::Side => {
                let held = vec![far.watch()];
                (Wires::One(far), vec![far_peer], held)
            }
            Kind::Pair => {
                let (near, near_peer) = Wire::pair(cut);
                let held = vec![near.watch(), far.watch()];
                (Wires::Two(near, far), vec![near_peer, far_peer], held)
            }
        }
    }
}

/// A connection goes through it as if nothing had been.
async fn serves(trial: &Trial, subject: &mut Subject, after: &str) -> Result<(), Broken> {
    let early = b"still here?";
    let through = async {
        let opened = trial.rig.open_through(subject, Cut::Not, early).await;
        hears(&mut opened?.near, early).await
    };
    through.await.map_err(|why| format!("after {after}: {why}"))
}

pub(super) async fn cancellation(trial: &Trial) -> Result<(), Broken> {
    // One slot: a service that keeps it without a right is found out.
    let mut subject = trial.rig.subject(1, Relays::AsEver);
    for polls in 0..POLLS {
        let (wires, peers, held) = trial.wires(Cut::Single);
        let peers = peers.into_iter().enumerate().map(|(at, wire)| {
            let make = match (trial.rig.kind, at) {
                (Kind::Pair, 0) => &trial.rig.near,
                _ => &trial.rig.far,
            };
            tokio::spawn(stay(make.clone(), wire))
        });
        let peers: Vec<_> = peers.collect();
        let ready = soon("it is to become ready", subject.stack.ready()).await?;
        let ready = ready.map_err(|error| format!("it is not ready: {}", chain(&*error)))?;
        let mut call = ready.call(wires);
        let mut polled = 0;
        let over = poll_fn(|cx| {
            if polled == polls {
                return Poll::Ready(false);
            }
            polled += 1;
            call.as_mut().poll(cx).map(|_| true)
        });
        // A call that waits for what never comes is given up where it waits.
        let over = timeout(SETTLE, over).await.unwrap_or(false);
        drop(call);
        while subject.arrivals.has_come().is_some() {}
        sleep(SETTLE).await;
        let still = held.iter().any(|wire| wire.strong_count() > 0);
        for peer in peers {
            peer.abort();
        }
        if still {
            return Err(format!(
                "a call that was given up at its poll {polls} still holds its connection"
            ));
        }
        if over || polled < polls {
            break;
        }
    }
    serves(trial, &mut subject, "calls that were given up").await
}

pub(super) async fn deadline(trial: &Trial) -> Result<(), Broken> {
    let mut subject = trial.rig.subject(1, Relays::AsEver);
    let (wires, _peers, held) = trial.wires(Cut::Not);
    let mut call = subject.call(wires).await?;
    let over = timeout(trial.deadline, call.over()).await;
    let through = match trial.rig.kind {
        Kind::Side => subject.arrivals.has_come().is_some(),
        Kind::Pair => subject.arrivals.joined(),
    };
    if over.is_err() && !through {
        return Err(format!(
            "a call whose peer says nothing is still at work after {:?}",
            trial.deadline
        ));
    }
    drop(call);
    sleep(SETTLE).await;
    match held.iter().any(|wire| wire.strong_count() > 0) {
        true => Err("a call that is over still holds its connection".into()),
        false => Ok(()),
    }
}

pub(super) async fn readiness(trial: &Trial) -> Result<(), Broken> {
    let mut subject = trial.rig.subject(1, Relays::AsEver);
    for round in 0..RESERVES {
        let mut reserving = subject.stack.clone();
        let ready = soon("a clone is to become ready", reserving.ready()).await;
        let ready = ready.map_err(|why| {
            format!("after {round} clones that were ready and dropped without a call: {why}")
        })?;
        ready.map_err(|error| format!("it is not ready: {}", chain(&*error)))?;
    }
    serves(trial, &mut subject, "clones that were ready and dropped").await?;

    // A reservation that another caller waits for is released by the drop.
    let mut reserving = subject.stack.clone();
    let ready = soon("it is to become ready", reserving.ready()).await?;
    ready.map_err(|error| format!("it is not ready: {}", chain(&*error)))?;
    let mut waiting = subject.stack.clone();
    let _ = waiting.poll_ready(&mut Context::from_waker(Waker::noop()));
    let waiting = tokio::spawn(async move { waiting.ready().await.map(drop) });
    tokio::task::yield_now().await;
    drop(reserving);
    let woken = soon("another's reservation was dropped", waiting).await?;
    drop(woken);

    // What is reserved is not cloned: what is called has to be ready itself.
    let mut subject = trial.rig.subject(16, Relays::AsEver);
    soon("it is to become ready", subject.stack.ready())
        .await?
        .map_err(|error| format!("it is not ready: {}", chain(&*error)))?;
    let mut clone = Subject {
        stack: subject.stack.clone(),
        arrivals: subject.arrivals,
    };
    let served = serves(trial, &mut clone, "a clone of one that was ready").await;
    if clone.arrivals.called_unready() {
        return Err("its clone calls the inner service, which is not ready".into());
    }
    served?;
    for _ in 0..2 {
        serves(trial, &mut clone, "a call").await?;
    }
    match clone.arrivals.called_unready() {
        true => Err("it calls the inner service, which is not ready".into()),
        false => Ok(()),
    }
}
