//! Looking up names.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt, io,
    net::{SocketAddr, SocketAddrV6},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tokio::{
    net::lookup_host,
    sync::{Semaphore, watch},
};

use crate::address::{Host, HostName};

/// The bound on look-ups at a time, in the whole process. Each holds one of the runtime's blocking
/// threads (512 by default) for as long as the system's resolver takes.
const LOOK_UPS: usize = 64;

/// The addresses of a host, as the resolver sorted them (RFC 6724); at once where the host is an
/// address.
///
/// One look-up of a name runs at a time, and all callers share its answer. So a name whose DNS server
/// is silent holds up no other name.
///
/// Has no deadline. Cancel-safe, but a look-up that has begun can't be stopped, and counts until the
/// resolver is done.
pub(crate) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    static LOOK_UPS_RUNNING: LazyLock<LookUps> = LazyLock::new(|| LookUps::new(LOOK_UPS));

    match host {
        Host::Name(name) => {
            let addrs = LOOK_UPS_RUNNING.shared(name, look_up).await?;
            let mut addrs = addrs.to_vec();
            addrs.iter_mut().for_each(|addr| addr.set_port(port));
            Ok(addrs)
        }
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Scoped(ip, scope) => Ok(vec![SocketAddrV6::new(*ip, port, 0, scope.get()).into()]),
    }
}

async fn look_up(name: HostName) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((name.as_str(), 0)).await?.collect())
}

/// The look-ups that run, by name.
struct LookUps {
    free: Semaphore,
    running: Mutex<HashMap<HostName, watch::Receiver<Option<Answer>>>>,
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
    fn new(at_a_time: usize) -> Self {
        Self {
            free: Semaphore::new(at_a_time),
            running: Mutex::default(),
        }
    }

    /// Waits for the running look-up of this name, or begins one.
    async fn shared<F>(
        &'static self,
        name: &HostName,
        look_up: impl Fn(HostName) -> F,
    ) -> io::Result<Arc<[SocketAddr]>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        loop {
            let mut answer = self.running(name, &look_up);
            let Ok(answer) = answer.wait_for(Option::is_some).await else {
                continue; // The runtime of that look-up was shut down, which may be another than ours.
            };
            return match answer.as_ref().expect("it was waited for") {
                Ok(addrs) => Ok(Arc::clone(addrs)),
                Err(error) => Err(io::Error::new(error.kind(), SharedError(Arc::clone(error)))),
            };
        }
    }

    fn running<F>(
        &'static self,
        name: &HostName,
        look_up: impl Fn(HostName) -> F,
    ) -> watch::Receiver<Option<Answer>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let vacant = match running.entry(name.clone()) {
            Entry::Occupied(running) => return running.get().clone(),
            Entry::Vacant(vacant) => vacant,
        };
        let (tell, answer) = watch::channel(None);
        vacant.insert(answer.clone());
        let look_up = look_up(name.clone());
        let entry = Running {
            look_ups: self,
            name: name.clone(),
        };
        // In a task of its own, which holds its permit until the resolver returns.
        tokio::spawn(async move {
            let _permit = self.free.acquire().await.expect("it is never closed");
            let found = look_up.await;
            // First, so that a later caller begins a new look-up.
            drop(entry);
            let answer = found.map(Arc::from).map_err(Arc::new);
            tell.send_replace(Some(answer));
        });
        answer
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
        Box::leak(Box::new(LookUps::new(at_a_time)))
    }

    fn addr(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        for text in ["192.0.2.1:22", "[2001:db8::1]:22", "[fe80::1%3]:22"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(resolve(&addr.into(), 22).await.unwrap(), [addr]);
        }
    }

    #[tokio::test]
    async fn a_silent_name_holds_up_no_other() {
        let look_ups = look_ups(2);
        let silent = name("silent.test");
        let mut waiting: Vec<_> = (0..100)
            .map(|_| Box::pin(look_ups.shared(&silent, |_| std::future::pending())))
            .collect();
        for waiting in &mut waiting {
            assert!(poll!(waiting).is_pending());
        }
        let other = name("other.test");
        let found = look_ups.shared(&other, async |_| Ok(vec![addr(1)])).await;
        assert_eq!(*found.unwrap(), [addr(1)]);
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
        let mut one = Box::pin(look_ups.shared(&name, slow));
        let mut two = Box::pin(look_ups.shared(&name, slow));
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
        look_ups.shared(&name, slow).await.unwrap_err();
        assert_eq!(begun.load(Ordering::Relaxed), 2);
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
        let mut abandoned = Box::pin(look_ups.shared(&one, slow));
        assert!(poll!(&mut abandoned).is_pending());
        drop(abandoned);
        yield_now().await;
        assert_eq!(look_ups.free.available_permits(), 0);
        answer.notify_one();
        let two = name("two.test");
        let next = look_ups.shared(&two, async |_| Ok(vec![addr(2)]));
        assert_eq!(*next.await.unwrap(), [addr(2)]);
    }

    #[test]
    fn a_look_up_whose_runtime_has_ended_is_begun_again() {
        let look_ups = look_ups(1);
        let name = name("again.test");
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };
        let first = runtime();
        first.block_on(async {
            let asked = look_ups.shared(&name, |_| std::future::pending());
            assert!(asked.now_or_never().is_none());
        });
        drop(first);
        let found = runtime().block_on(look_ups.shared(&name, async |_| Ok(vec![addr(1)])));
        assert_eq!(*found.unwrap(), [addr(1)]);
    }
}
