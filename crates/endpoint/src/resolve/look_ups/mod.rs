//! Look-ups that run, and answers that are kept.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::Hash,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};

/// From when on a look-up is slow, and how long a caller waits in line before the last answer will do.
const SLOW: Duration = Duration::from_secs(1);

/// How long a caller that has a last answer waits for a look-up that has begun: a silent name server takes longer
/// to give up than a dial has (RFC 8767, section 5, has 1.8 s).
const LATE: Duration = Duration::from_millis(1800);

/// How many answers are kept, and for how long after their time to live.
const ANSWERS: usize = 1024;
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The look-ups that run, by what is looked up, a name and where.
pub(super) struct LookUps<K, T> {
    free: Semaphore,
    /// For those that are slow.
    slow: Semaphore,
    running: Mutex<HashMap<K, watch::Receiver<State<T>>>>,
    answers: Mutex<HashMap<K, Kept<T>>>,
}

/// What a look-up has found.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) list: Vec<T>,
    /// For this time it is not looked up again: 0 where the answer does not say.
    pub(super) ttl: Duration,
}

/// The last good answer.
#[derive(Debug)]
struct Kept<T> {
    list: Arc<[T]>,
    /// The end of its time to live.
    until: Instant,
}

/// How far a look-up is.
#[derive(Debug)]
enum State<T> {
    InLine,
    Begun,
    Done(Answer<T>),
}

/// The answer of a look-up, for all its callers.
type Answer<T> = Result<Arc<[T]>, Arc<io::Error>>;

/// The entry of a running look-up, removed on drop.
struct Running<K: Eq + Hash + 'static, T: 'static> {
    look_ups: &'static LookUps<K, T>,
    key: K,
}

/// Was a look-up not answered (`EAI_AGAIN` of getaddrinfo(3))? It has no error kind, and is known by the C
/// library's text, in English unless the program sets a locale.
pub(crate) fn no_server_answered(error: &io::Error) -> bool {
    error.to_string().contains("Temporary failure")
}

// ===== impl LookUps =====

impl<K, T> LookUps<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + Sync + 'static,
{
    pub(super) fn new(at_a_time: usize, slow: usize) -> Self {
        Self {
            free: Semaphore::new(at_a_time),
            slow: Semaphore::new(slow),
            running: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// The answer whose time to live lasts; or else waits for the running look-up of this name, or begins
    /// one.
    pub(super) async fn shared<F>(
        &'static self,
        key: &K,
        last_answer: Duration,
        look_up: impl Fn(K) -> F,
    ) -> io::Result<Arc<[T]>>
    where
        F: Future<Output = io::Result<Found<T>>> + Send + 'static,
    {
        loop {
            if let Some(list) = self.kept(key, Duration::ZERO) {
                return Ok(list);
            }
            let (mut look_up, is_ours) = self.running(key, &look_up);
            if let Some(list) = self.kept(key, last_answer) {
                let begun = look_up.wait_for(|state| !matches!(state, State::InLine));
                if timeout(SLOW, begun).await.is_err() {
                    return Ok(list);
                }
                let done = look_up.wait_for(|state| matches!(state, State::Done(_)));
                if timeout(LATE, done).await.is_err() {
                    return Ok(list);
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
                Ok(list) => Ok(Arc::clone(list)),
                Err(error) => match self.kept(key, last_answer) {
                    Some(list) if no_server_answered(error) => Ok(list),
                    _ => Err(io::Error::new(error.kind(), SharedError(Arc::clone(error)))),
                },
            };
        }
    }

    /// The last good answer, if its time to live ended no longer ago than this.
    fn kept(&self, key: &K, ago: Duration) -> Option<Arc<[T]>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = answers.get(key)?;
        (Instant::now() < kept.until + ago.min(LIFETIME)).then(|| Arc::clone(&kept.list))
    }

    fn keep(&self, key: K, list: &Arc<[T]>, ttl: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if answers.len() >= ANSWERS && !answers.contains_key(&key) {
            answers.retain(|_, kept| now < kept.until + LIFETIME);
            // As many as that are in use: which goes is left to chance.
            if answers.len() >= ANSWERS
                && let Some(any) = answers.keys().next().cloned()
            {
                answers.remove(&any);
            }
        }
        let kept = Kept {
            list: Arc::clone(list),
            until: now + ttl,
        };
        answers.insert(key, kept);
    }

    /// The look-up that runs, and whether it was begun here.
    fn running<F>(
        &'static self,
        key: &K,
        look_up: impl Fn(K) -> F,
    ) -> (watch::Receiver<State<T>>, bool)
    where
        F: Future<Output = io::Result<Found<T>>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let vacant = match running.entry(key.clone()) {
            Entry::Occupied(running) => return (running.get().clone(), false),
            Entry::Vacant(vacant) => vacant,
        };
        let (tell, answer) = watch::channel(State::InLine);
        vacant.insert(answer.clone());
        let look_up = look_up(key.clone());
        let entry = Running {
            look_ups: self,
            key: key.clone(),
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
            let answer = match found {
                Ok(Found { list, ttl }) => {
                    let list = Arc::from(list);
                    self.keep(entry.key.clone(), &list, ttl);
                    Ok(list)
                }
                Err(error) => Err(Arc::new(error)),
            };
            // First, so that a later question is a new look-up.
            drop(entry);
            tell.send_replace(State::Done(answer));
        });
        (answer, true)
    }
}

impl<K: Eq + Hash, T> Drop for Running<K, T> {
    fn drop(&mut self) {
        let running = self.look_ups.running.lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.key);
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
mod tests;
