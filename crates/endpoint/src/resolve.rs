//! Looking up names.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt, io,
    net::{SocketAddr, SocketAddrV6},
    pin::pin,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::lookup_host,
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};

use crate::address::{Host, HostName};

/// The bound on look-ups at a time, in the whole process. Each holds one of the runtime's blocking
/// threads (512 by default) for as long as the system's resolver takes.
const LOOK_UPS: usize = 64;

/// How many look-ups more may run that have taken longer than [`SLOW`]: they take the place of no
/// other. A client that may choose names can choose names whose DNS is silent.
const SLOW_LOOK_UPS: usize = 256;

/// From when on a look-up is slow, and how long a caller waits in line before the last answer will do.
const SLOW: Duration = Duration::from_secs(1);

/// How many answers are kept, and for how long.
const ANSWERS: usize = 1024;
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How old an answer may be that is used again, by default.
pub(crate) const LAST_ANSWER: Duration = Duration::from_secs(3600);

/// The addresses of a host, as the resolver sorted them (RFC 6724); at once where the host is an
/// address.
///
/// One look-up of a name runs at a time, and all callers share its answer. So a name whose DNS server
/// is silent holds up no other name. Nor do many such names: a slow look-up gives its place in line to
/// the next. Where none is free for a second, or no name server answers, a name that was found within
/// `last_answer` has the answer that it had then.
///
/// Has no deadline. Cancel-safe, but a look-up that has begun can't be stopped, and counts until the
/// resolver is done.
pub(crate) async fn resolve(
    host: &Host,
    port: u16,
    last_answer: Duration,
) -> io::Result<Vec<SocketAddr>> {
    static LOOK_UPS_RUNNING: LazyLock<LookUps> =
        LazyLock::new(|| LookUps::new(LOOK_UPS, SLOW_LOOK_UPS));

    match host {
        Host::Name(name) => {
            let addrs = LOOK_UPS_RUNNING.shared(name, last_answer, look_up).await?;
            let mut addrs = addrs.to_vec();
            addrs.iter_mut().for_each(|addr| addr.set_port(port));
            Ok(addrs)
        }
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Scoped(ip, scope) => Ok(vec![SocketAddrV6::new(*ip, port, 0, scope.get()).into()]),
    }
}

/// Was a look-up not answered (`EAI_AGAIN` of getaddrinfo(3))? It has no error kind, and is known by the C
/// library's text, in English unless the program sets a locale.
pub(crate) fn no_server_answered(error: &io::Error) -> bool {
    error.to_string().contains("Temporary failure")
}

async fn look_up(name: HostName) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((name.as_str(), 0)).await?.collect())
}

/// The look-ups that run, by name.
struct LookUps {
    free: Semaphore,
    /// For those that are slow.
    slow: Semaphore,
    running: Mutex<HashMap<HostName, watch::Receiver<State>>>,
    /// The last good answers, and when they were given.
    answers: Mutex<HashMap<HostName, (Instant, Arc<[SocketAddr]>)>>,
}

/// How far a look-up is.
#[derive(Clone, Debug)]
enum State {
    InLine,
    Begun,
    Done(Answer),
}

/// The answer of a look-up, for all its callers.
type Answer = Result<Arc<[SocketAddr]>, Arc<io::Error>>;

/// The entry of a running look-up, removed on drop.
struct Running {
    look_ups: &'static LookUps,
    name: HostName,
}

// ===== impl LookUps =====

impl LookUps {
    fn new(at_a_time: usize, slow: usize) -> Self {
        Self {
            free: Semaphore::new(at_a_time),
            slow: Semaphore::new(slow),
            running: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Waits for the running look-up of this name, or begins one.
    async fn shared<F>(
        &'static self,
        name: &HostName,
        within: Duration,
        look_up: impl Fn(HostName) -> F,
    ) -> io::Result<Arc<[SocketAddr]>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        loop {
            let (mut look_up, is_ours) = self.running(name, &look_up);
            if let Some(addrs) = self.last_answer(name, within) {
                let begun = look_up.wait_for(|state| !matches!(state, State::InLine));
                if timeout(SLOW, begun).await.is_err() {
                    return Ok(addrs);
                }
            }
            let Ok(state) = look_up
                .wait_for(|state| matches!(state, State::Done(_)))
                .await
            else {
                if is_ours {
                    return Err(io::Error::other("the task of the look-up panicked"));
                }
                continue; // Its runtime was shut down, which is not ours.
            };
            let State::Done(answer) = &*state else {
                unreachable!("it was waited for");
            };
            return match answer {
                Ok(addrs) => Ok(Arc::clone(addrs)),
                Err(error) => match self.last_answer(name, within) {
                    Some(addrs) if no_server_answered(error) => Ok(addrs),
                    _ => Err(io::Error::new(error.kind(), SharedError(Arc::clone(error)))),
                },
            };
        }
    }

    /// The last good answer, if it is no older than this.
    fn last_answer(&self, name: &HostName, within: Duration) -> Option<Arc<[SocketAddr]>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (given, addrs) = answers.get(name)?;
        (given.elapsed() < within.min(LIFETIME)).then(|| Arc::clone(addrs))
    }

    fn keep_answer(&self, name: HostName, addrs: &Arc<[SocketAddr]>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS && !answers.contains_key(&name) {
            answers.retain(|_, (given, _)| given.elapsed() < LIFETIME);
            // As many as that are in use: which goes is left to chance.
            if answers.len() >= ANSWERS
                && let Some(any) = answers.keys().next().cloned()
            {
                answers.remove(&any);
            }
        }
        answers.insert(name, (Instant::now(), Arc::clone(addrs)));
    }

    /// The look-up that runs, and whether it was begun here.
    fn running<F>(
        &'static self,
        name: &HostName,
        look_up: impl Fn(HostName) -> F,
    ) -> (watch::Receiver<State>, bool)
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let vacant = match running.entry(name.clone()) {
            Entry::Occupied(running) => return (running.get().clone(), false),
            Entry::Vacant(vacant) => vacant,
        };
        let (tell, answer) = watch::channel(State::InLine);
        vacant.insert(answer.clone());
        let look_up = look_up(name.clone());
        let entry = Running {
            look_ups: self,
            name: name.clone(),
        };
        // In a task of its own, which holds its permit until the resolver returns.
        tokio::spawn(async move {
            let mut permit = self.free.acquire().await.expect("it is never closed");
            tell.send_replace(State::Begun);
            let mut look_up = pin!(look_up);
            let found = match timeout(SLOW, &mut look_up).await {
                Ok(found) => found,
                Err(_) => {
                    if let Ok(slow) = self.slow.try_acquire() {
                        permit = slow;
                    }
                    look_up.await
                }
            };
            drop(permit);
            let answer = found.map(Arc::from).map_err(Arc::new);
            if let Ok(addrs) = &answer {
                self.keep_answer(entry.name.clone(), addrs);
            }
            // First, so that a later question is a new look-up.
            drop(entry);
            tell.send_replace(State::Done(answer));
        });
        (answer, true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = self.look_ups.running.lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.name);
    }
}

/// One error for several callers.
#[derive(Debug)]
struct SharedError(Arc<io::Error>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{FutureExt, poll};
    use tokio::{sync::Notify, task::yield_now};

    use super::*;

    fn name(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn look_ups(at_a_time: usize) -> &'static LookUps {
        Box::leak(Box::new(LookUps::new(at_a_time, 2)))
    }

    fn addr(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for text in ["192.0.2.1:22", "[2001:db8::1]:22", "[fe80::1%3]:22"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(
                resolve(&addr.into(), 22, LAST_ANSWER).await.unwrap(),
                [addr]
            );
        }
    }

    #[tokio::test]
    async fn a_silent_name_holds_up_no_other() {
        let look_ups = look_ups(2);
        let silent = name("silent.test");
        let mut waiting: Vec<_> = (0..100)
            .map(|_| Box::pin(look_ups.shared(&silent, LAST_ANSWER, |_| std::future::pending())))
            .collect();
        for waiting in &mut waiting {
            assert!(poll!(waiting).is_pending());
        }
        let other = name("other.test");
        let found = look_ups
            .shared(&other, LAST_ANSWER, async |_| Ok(vec![addr(1)]))
            .await;
        assert_eq!(*found.unwrap(), [addr(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_silent_names_hold_up_no_other_for_long() {
        let look_ups = look_ups(2);
        let known = name("known.test");
        let found = look_ups
            .shared(&known, LAST_ANSWER, async |_| Ok(vec![addr(1)]))
            .await;
        assert_eq!(*found.unwrap(), [addr(1)]);

        let silent = |number: usize| {
            let name = name(&format!("silent{number}.test"));
            tokio::spawn(async move {
                look_ups
                    .shared(&name, LAST_ANSWER, |_| std::future::pending())
                    .await
            })
        };
        let _silent = [0, 1].map(silent);
        yield_now().await;
        // Those are slow, and make room for the next.
        let begin = Instant::now();
        let other = name("other.test");
        let found = look_ups
            .shared(&other, LAST_ANSWER, async |_| Ok(vec![addr(2)]))
            .await;
        assert_eq!(*found.unwrap(), [addr(2)]);
        assert!(begin.elapsed() <= SLOW + SLOW / 10, "{:?}", begin.elapsed());

        // As many slow ones as may be, and more: a known name has the answer that it had.
        let _more = [2, 3].map(silent);
        yield_now().await;
        tokio::time::sleep(10 * SLOW).await;
        let begin = Instant::now();
        let found = look_ups
            .shared(&known, LAST_ANSWER, async |_| Ok(vec![addr(3)]))
            .await;
        assert_eq!(*found.unwrap(), [addr(1)]);
        assert!(begin.elapsed() <= SLOW + SLOW / 10, "{:?}", begin.elapsed());
        tokio::time::advance(LAST_ANSWER).await;
        let unknown = look_ups.shared(&known, LAST_ANSWER, async |_| Ok(vec![addr(3)]));
        assert!(timeout(10 * SLOW, unknown).await.is_err(), "too old");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_is_used_while_no_name_server_answers_and_not_where_there_is_no_such_name()
     {
        let look_ups = look_ups(2);
        let name = name("known.test");
        let hour = Duration::from_secs(3600);
        let found = look_ups
            .shared(&name, hour, async |_| Ok(vec![addr(1)]))
            .await;
        assert_eq!(*found.unwrap(), [addr(1)]);
        let silent = async |_| Err(io::Error::other("Temporary failure in name resolution"));
        let unknown = async |_| Err(io::Error::other("Name or service not known"));
        let found = look_ups.shared(&name, hour, silent).await;
        assert_eq!(*found.unwrap(), [addr(1)]);
        assert!(
            look_ups
                .shared(&name, Duration::ZERO, silent)
                .await
                .is_err()
        );
        assert!(look_ups.shared(&name, hour, unknown).await.is_err());
        tokio::time::advance(hour).await;
        assert!(
            look_ups.shared(&name, hour, silent).await.is_err(),
            "too old"
        );
        let found = look_ups.shared(&name, 2 * hour, silent).await;
        assert_eq!(*found.unwrap(), [addr(1)]);
    }

    #[test]
    fn no_more_answers_are_kept_than_may_be() {
        let look_ups = look_ups(1);
        for number in 0..2 * ANSWERS {
            look_ups.keep_answer(name(&format!("n{number}.test")), &Arc::from([addr(1)]));
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
        let mut one = Box::pin(look_ups.shared(&name, LAST_ANSWER, slow));
        let mut two = Box::pin(look_ups.shared(&name, LAST_ANSWER, slow));
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
        look_ups.shared(&name, LAST_ANSWER, slow).await.unwrap_err();
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_look_up_that_panics_is_an_error() {
        let look_ups = look_ups(1);
        let panics = async |_| -> io::Result<Vec<SocketAddr>> { panic!("as the test says") };
        let name = name("panics.test");
        look_ups
            .shared(&name, LAST_ANSWER, panics)
            .await
            .unwrap_err();
        let found = look_ups
            .shared(&name, LAST_ANSWER, async |_| Ok(vec![addr(1)]))
            .await;
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
                Ok(vec![addr(1)])
            }
        };
        let one = name("one.test");
        let mut abandoned = Box::pin(look_ups.shared(&one, LAST_ANSWER, slow));
        assert!(poll!(&mut abandoned).is_pending());
        drop(abandoned);
        yield_now().await;
        assert_eq!(look_ups.free.available_permits(), 0);
        answer.notify_one();
        let two = name("two.test");
        let next = look_ups.shared(&two, LAST_ANSWER, async |_| Ok(vec![addr(2)]));
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
            let asked = look_ups.shared(&name, LAST_ANSWER, |_| std::future::pending());
            assert!(asked.now_or_never().is_none());
        });
        drop(first);
        let found =
            runtime().block_on(look_ups.shared(&name, LAST_ANSWER, async |_| Ok(vec![addr(1)])));
        assert_eq!(*found.unwrap(), [addr(1)]);
    }
}
