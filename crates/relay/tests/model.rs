//! Whatever two peers do, and in whatever order: neither is told what is not so.

mod helper;

use std::{collections::VecDeque, task::Poll};

use couplet_endpoint::{
    Side,
    memory::{self, MemoryStream},
};
use couplet_relay::Relay;
use helper::{ByHand, Relayed, SIDES, by_hand, drive, join, noise, now, reset, shut_down};
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
};

/// What one of the two peers does next.
#[derive(Clone, Copy, Debug)]
enum Action {
    Write(usize),
    Read(usize),
    ShutDown,
    Drop,
    Reset,
    /// The relay gets a turn.
    Relay,
}

/// One of the two peers, and what is known of it.
struct Peer {
    /// `None` once it is gone.
    io: Option<MemoryStream>,
    script: VecDeque<u8>,
    /// What it sent.
    sent: Vec<u8>,
    sending: Sending,
    /// What it heard.
    heard: Vec<u8>,
    hearing: Hearing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sending {
    Going,
    Ended,
    Reset,
    /// The relay refused to take more.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hearing {
    Going,
    Ended,
    Reset,
}

// ===== impl Peer =====

impl Peer {
    fn new(io: MemoryStream, seed: u64) -> Self {
        Self {
            io: Some(io),
            script: noise(seed, 4096).into(),
            sent: Vec::new(),
            sending: Sending::Going,
            heard: Vec::new(),
            hearing: Hearing::Going,
        }
    }

    fn act(&mut self, action: Action) {
        let Some(io) = &mut self.io else {
            return;
        };
        match action {
            Action::Write(n) if self.sending == Sending::Going => {
                let n = n.min(self.script.len());
                match now(io.write(&self.script.make_contiguous()[..n])) {
                    Some(Ok(n)) => self.sent.extend(self.script.drain(..n)),
                    Some(Err(_)) => self.sending = Sending::Refused,
                    None => {}
                }
            }
            Action::Read(n) if self.hearing == Hearing::Going => {
                let mut piece = vec![0; n];
                match now(io.read(&mut piece)) {
                    Some(Ok(0)) => self.hearing = Hearing::Ended,
                    Some(Ok(n)) => self.heard.extend(&piece[..n]),
                    Some(Err(_)) => self.hearing = Hearing::Reset,
                    None => {}
                }
            }
            Action::ShutDown if self.sending == Sending::Going => {
                shut_down(io);
                self.sending = Sending::Ended;
            }
            Action::Drop => {
                self.io = None;
                if self.sending == Sending::Going {
                    self.sending = Sending::Ended;
                }
            }
            Action::Reset => {
                if let Some(io) = self.io.take() {
                    reset(io);
                }
                if self.sending == Sending::Going {
                    self.sending = Sending::Reset;
                }
            }
            _ => {}
        }
    }

    /// Holds what it was told against what its partner did.
    fn check(&self, partner: &Self) {
        assert!(partner.sent.starts_with(&self.heard));
        match self.hearing {
            Hearing::Going => {}
            Hearing::Ended => {
                assert_eq!(partner.sending, Sending::Ended);
                assert_eq!(self.heard.len(), partner.sent.len());
            }
            Hearing::Reset => assert_eq!(partner.sending, Sending::Reset),
        }
    }

    /// Is there nothing more that it can be told?
    fn knows_all(&self) -> bool {
        self.io.is_none() || self.hearing != Hearing::Going
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1..100_usize).prop_map(Action::Write),
        6 => (1..100_usize).prop_map(Action::Read),
        8 => Just(Action::Relay),
        1 => Just(Action::ShutDown),
        1 => prop_oneof![Just(Action::Drop), Just(Action::Reset)],
    ]
}

/// The two peers and the relay between them.
struct Model {
    a: Peer,
    b: Peer,
    relaying: Option<ByHand>,
    relayed: Option<Relayed>,
}

// ===== impl Model =====

impl Model {
    fn new(buffers: (usize, usize)) -> Self {
        let (a, a_io) = memory::connection(buffers.0);
        let (b, b_io) = memory::connection(buffers.1);
        let (_, relaying) = by_hand(Relay::new(), join(Side::A, a_io, b_io));
        Self {
            a: Peer::new(a, 1),
            b: Peer::new(b, 2),
            relaying: Some(relaying),
            relayed: None,
        }
    }

    fn act(&mut self, side: Side, action: Action) {
        match (side, action) {
            (_, Action::Relay) => self.relay(),
            (Side::A, action) => self.a.act(action),
            (Side::B, action) => self.b.act(action),
        }
        self.a.check(&self.b);
        self.b.check(&self.a);
    }

    fn relay(&mut self) {
        let Some(relaying) = &mut self.relaying else {
            return;
        };
        if let Poll::Ready(relayed) = drive(relaying) {
            self.relayed = Some(relayed);
            self.relaying = None;
        }
    }

    /// Both sides send no more, and the peers that are still there read to the end.
    fn hear_out(&mut self) {
        for side in SIDES {
            self.act(side, Action::ShutDown);
        }
        for _ in 0..10_000 {
            if self.a.knows_all() && self.b.knows_all() {
                return;
            }
            self.relay();
            for side in SIDES {
                self.act(side, Action::Read(100));
            }
        }
        panic!("somebody still waits");
    }

    /// Both are gone, so the relay ends; no clock is needed.
    fn part(mut self) {
        for side in SIDES {
            self.act(side, Action::Drop);
        }
        self.relay();
        let relayed = self.relayed.expect("it has ended");
        let (summary, is_clean) = match &relayed {
            Ok(summary) => (summary, summary.reason.is_clean()),
            Err(error) => (error.summary(), false),
        };
        let (sent, heard) = (self.a.sent.len() as u64, self.b.heard.len() as u64);
        assert!((heard..=sent).contains(&summary.a_to_b));
        let (sent, heard) = (self.b.sent.len() as u64, self.a.heard.len() as u64);
        assert!((heard..=sent).contains(&summary.b_to_a));
        if self.a.hearing == Hearing::Ended && self.b.hearing == Hearing::Ended {
            assert!(is_clean);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn neither_side_gets_a_false_end(
        buffers in (1..200_usize, 1..200_usize),
        script in vec((select(&SIDES), action()), 0..60),
        hear_out in any::<bool>(),
    ) {
        // For its clock alone, which stands still.
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let _entered = runtime.enter();

        let mut model = Model::new(buffers);
        for (side, action) in script {
            model.act(side, action);
        }
        if hear_out {
            model.hear_out();
        }
        model.part();
    }
}
