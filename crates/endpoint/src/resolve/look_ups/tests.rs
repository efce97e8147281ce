use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::{FutureExt, poll};
use tokio::{sync::Notify, task::yield_now};

use super::*;
use crate::address::HostName;

const HOUR: Duration = Duration::from_secs(3600);

fn name(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn look_ups(at_a_time: usize) -> &'static LookUps<HostName, SocketAddr> {
    Box::leak(Box::new(LookUps::new(at_a_time, 2)))
}

fn addr(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn at(port: u16) -> Found<SocketAddr> {
    Found {
        list: vec![addr(port)],
        ttl: Duration::ZERO,
    }
}

#[tokio::test]
async fn a_silent_name_holds_up_no_other() {
    let look_ups = look_ups(2);
    let silent = name("silent.test");
    let mut waiting: Vec<_> = (0..100)
        .map(|_| Box::pin(look_ups.shared(&silent, HOUR, |_| std::future::pending())))
        .collect();
    for waiting in &mut waiting {
        assert!(poll!(waiting).is_pending());
    }
    let other = name("other.test");
    let found = look_ups.shared(&other, HOUR, async |_| Ok(at(1))).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
}

#[tokio::test(start_paused = true)]
async fn many_silent_names_hold_up_no_other_for_long() {
    let look_ups = look_ups(2);
    let known = name("known.test");
    let found = look_ups.shared(&known, HOUR, async |_| Ok(at(1))).await;
    assert_eq!(*found.unwrap(), [addr(1)]);

    let silent = |number: usize| {
        let name = name(&format!("silent{number}.test"));
        tokio::spawn(async move {
            look_ups
                .shared(&name, HOUR, |_| std::future::pending())
                .await
        })
    };
    let _silent = [0, 1].map(silent);
    yield_now().await;
    // Those are slow, and make room for the next.
    let begin = Instant::now();
    let other = name("other.test");
    let found = look_ups.shared(&other, HOUR, async |_| Ok(at(2))).await;
    assert_eq!(*found.unwrap(), [addr(2)]);
    assert!(begin.elapsed() <= SLOW + SLOW / 10, "{:?}", begin.elapsed());

    // As many slow ones as may be, and more: a known name has the answer that it had.
    let _more = [2, 3].map(silent);
    yield_now().await;
    tokio::time::sleep(10 * SLOW).await;
    let begin = Instant::now();
    let asked = look_ups.shared(&known, HOUR, async |_| Ok(at(3)));
    let found = timeout(10 * SLOW, asked).await.expect("an answer in time");
    assert_eq!(*found.unwrap(), [addr(1)]);
    assert!(begin.elapsed() <= SLOW + SLOW / 10, "{:?}", begin.elapsed());
    tokio::time::advance(HOUR).await;
    let unknown = look_ups.shared(&known, HOUR, async |_| Ok(at(3)));
    assert!(timeout(10 * SLOW, unknown).await.is_err(), "too old");
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_used_while_no_name_server_answers_and_not_where_there_is_no_such_name()
{
    let look_ups = look_ups(2);
    let name = name("known.test");
    let found = look_ups.shared(&name, HOUR, async |_| Ok(at(1))).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
    let silent = async |_| Err(io::Error::other("Temporary failure in name resolution"));
    let unknown = async |_| Err(io::Error::other("Name or service not known"));
    let found = look_ups.shared(&name, HOUR, silent).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
    assert!(
        look_ups
            .shared(&name, Duration::ZERO, silent)
            .await
            .is_err()
    );
    assert!(look_ups.shared(&name, HOUR, unknown).await.is_err());
    tokio::time::advance(HOUR).await;
    assert!(
        look_ups.shared(&name, HOUR, silent).await.is_err(),
        "too old"
    );
    let found = look_ups.shared(&name, 2 * HOUR, silent).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_time_to_live_and_then_looked_up_again() {
    let look_ups = look_ups(1);
    let name = name("known.test");
    let minute = Duration::from_secs(60);
    let answer = |port: u16| {
        move |_| async move {
            Ok(Found {
                ttl: minute,
                ..at(port)
            })
        }
    };
    let silent = async |_| Err(io::Error::other("Temporary failure in name resolution"));
    let found = look_ups.shared(&name, HOUR, answer(1)).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
    tokio::time::advance(minute - Duration::from_millis(1)).await;
    let found = look_ups.shared(&name, HOUR, answer(2)).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
    tokio::time::advance(Duration::from_millis(1)).await;
    let found = look_ups.shared(&name, HOUR, answer(2)).await;
    assert_eq!(*found.unwrap(), [addr(2)]);
    // The last answer counts from the end of its time to live.
    tokio::time::advance(minute + HOUR - Duration::from_millis(1)).await;
    let found = look_ups.shared(&name, HOUR, silent).await;
    assert_eq!(*found.unwrap(), [addr(2)]);
    tokio::time::advance(Duration::from_millis(1)).await;
    look_ups.shared(&name, HOUR, silent).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_used_before_a_silent_name_server_is_given_up() {
    let look_ups = look_ups(1);
    let name = name("known.test");
    let found = look_ups.shared(&name, HOUR, async |_| Ok(at(1))).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
    for _ in 0..2 {
        let asked = look_ups.shared(&name, HOUR, |_| std::future::pending());
        let found = timeout(2 * LATE, asked)
            .await
            .expect("it is not waited for");
        assert_eq!(*found.unwrap(), [addr(1)]);
    }
    let never = look_ups.shared(&name, Duration::ZERO, |_| std::future::pending());
    assert!(timeout(HOUR, never).await.is_err(), "it is `never` used");
}

#[test]
fn no_more_answers_are_kept_than_may_be() {
    let look_ups = look_ups(1);
    for number in 0..2 * ANSWERS {
        look_ups.keep(
            name(&format!("n{number}.test")),
            &Arc::from([addr(1)]),
            Duration::ZERO,
        );
    }
    assert_eq!(look_ups.answers.lock().unwrap().len(), ANSWERS);
}

#[tokio::test]
async fn look_ups_of_the_same_name_share_one_answer() {
    let look_ups = look_ups(1);
    let (begun, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let slow = |_| {
        begun.fetch_add(1, Ordering::Relaxed);
        let answer = Arc::clone(&answer);
        async move {
            answer.notified().await;
            Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
        }
    };
    let name = name("slow.test");
    let mut one = Box::pin(look_ups.shared(&name, HOUR, slow));
    let mut two = Box::pin(look_ups.shared(&name, HOUR, slow));
    assert!(poll!(&mut one).is_pending());
    assert!(poll!(&mut two).is_pending());
    answer.notify_one();
    for asked in [one, two] {
        let error = asked.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "no such name");
    }
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    // The next question is a new one.
    answer.notify_one();
    look_ups.shared(&name, HOUR, slow).await.unwrap_err();
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_look_up_that_panics_is_an_error() {
    let look_ups = look_ups(1);
    let panics = async |_| -> io::Result<Found<SocketAddr>> { panic!("as the test says") };
    let name = name("panics.test");
    look_ups.shared(&name, HOUR, panics).await.unwrap_err();
    let found = look_ups.shared(&name, HOUR, async |_| Ok(at(1))).await;
    assert_eq!(*found.unwrap(), [addr(1)]);
}

#[tokio::test]
async fn an_abandoned_look_up_counts_until_it_is_done() {
    let look_ups = look_ups(1);
    let answer = Arc::new(Notify::new());
    let slow = |_| {
        let answer = Arc::clone(&answer);
        async move {
            answer.notified().await;
            Ok(at(1))
        }
    };
    let one = name("one.test");
    let mut abandoned = Box::pin(look_ups.shared(&one, HOUR, slow));
    assert!(poll!(&mut abandoned).is_pending());
    drop(abandoned);
    yield_now().await;
    assert_eq!(look_ups.free.available_permits(), 0);
    answer.notify_one();
    let two = name("two.test");
    let next = look_ups.shared(&two, HOUR, async |_| Ok(at(2)));
    assert_eq!(*next.await.unwrap(), [addr(2)]);
}

#[test]
fn a_look_up_whose_runtime_has_ended_is_begun_again() {
    let look_ups = look_ups(1);
    let name = name("again.test");
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        let asked = look_ups.shared(&name, HOUR, |_| std::future::pending());
        assert!(asked.now_or_never().is_none());
    });
    drop(first);
    let found = runtime().block_on(look_ups.shared(&name, HOUR, async |_| Ok(at(1))));
    assert_eq!(*found.unwrap(), [addr(1)]);
}
