//! The parts of Couplet that tasks share without a lock around them, under
//! [loom](https://docs.rs/loom): every order in which their steps can happen is tried, and every value
//! that a load may see.
//!
//! The sources are those of the crates; `crate::sync` is loom's here. What is made of tokio's semaphores
//! and channels (handover, permits) is tokio's to check, and the meter is a counter of one writer.

#![cfg(test)]

#[path = "../../crates/pairing/src/session/close_switch.rs"]
mod close_switch;
#[path = "../../crates/pairing/src/session/source.rs"]
mod source;
mod sync;
#[path = "../../crates/pairing/src/rendezvous/waiting/wake.rs"]
mod wake;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use loom::{sync::atomic::AtomicUsize, thread};

use self::{close_switch::CloseSwitch, source::Source, wake::Woken};

/// Remembers that it was woken. Not loom's: it is looked at when all threads have ended.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

#[test]
fn no_close_falls_between_the_look_and_the_wait() {
    loom::model(|| {
        let switch = Arc::new(CloseSwitch::new());
        let closing = [1, 2].map(|reason| {
            let switch = Arc::clone(&switch);
            thread::spawn(move || switch.close(reason))
        });
        let flag = Arc::<Flag>::default();
        let waker = Waker::from(Arc::clone(&flag));
        let seen = switch.poll(&mut Context::from_waker(&waker));
        for closing in closing {
            closing.join().expect("it does not panic");
        }
        let reason = switch.reason().expect("two have given one");
        match seen {
            Poll::Ready(seen) => assert_eq!(seen, reason, "the first reason wins"),
            Poll::Pending => assert!(flag.take(), "no wake-up comes for the task"),
        }
    });
}

#[test]
fn no_wake_of_one_that_waits_is_lost() {
    loom::model(|| {
        let woken = Arc::<Woken>::default();
        let one = woken.one(7);
        // How much has come to this connection, and how much of it was seen.
        let come = Arc::new(AtomicUsize::new(0));
        let waker = one.waker();
        let io = thread::spawn({
            let come = Arc::clone(&come);
            move || {
                for n in 1..=2 {
                    come.store(n, Ordering::Release);
                    waker.wake_by_ref();
                }
            }
        });
        let flag = Arc::<Flag>::default();
        let keeper = Waker::from(Arc::clone(&flag));
        let turn = || {
            woken.register(&keeper);
            let mut seen = 0;
            for number in woken.take() {
                assert_eq!(number, 7);
                let _waker = one.waker();
                seen = come.load(Ordering::Acquire);
            }
            seen
        };
        let mut seen = turn();
        io.join().expect("it does not panic");
        if seen < 2 {
            assert!(flag.take(), "no wake-up comes for the keeper");
            seen = turn();
        }
        assert_eq!(seen, 2, "the keeper does not look at the connection");
    });
}

#[test]
fn no_wake_of_a_source_that_was_dry_is_lost() {
    loom::model(|| {
        let source = Arc::<Source>::default();
        let come = Arc::new(AtomicUsize::new(0));
        let flag = Arc::<Flag>::default();
        let task = Waker::from(Arc::clone(&flag));
        source.register(&task);
        // It was looked at, and had nothing.
        let waker = source.waker();
        let io = thread::spawn({
            let come = Arc::clone(&come);
            move || {
                for n in 1..=2 {
                    come.store(n, Ordering::Release);
                    waker.wake_by_ref();
                }
            }
        });
        // As the budgets do: one that has not woken is not asked.
        let turn = || {
            source.register(&task);
            if !source.has_woken() {
                return 0;
            }
            let _waker = source.waker();
            come.load(Ordering::Acquire)
        };
        let mut seen = turn();
        io.join().expect("it does not panic");
        if seen < 2 {
            assert!(flag.take(), "no wake-up comes for the task");
            seen = turn();
        }
        assert_eq!(seen, 2, "the source is not asked");
    });
}
