//! The name of the relay that a task works for, so that a log can tell several relays of a process apart.

use std::{
    cell::RefCell,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project::{pin_project, pinned_drop};

thread_local! {
    static CURRENT: RefCell<RelayName> = const { RefCell::new(RelayName::NONE) };
}

/// The name of a relay, or none. Clones share it.
///
/// A connector's tasks have the name in whose [scope](Self::in_scope) the connector is started, and a log
/// asks for the [current](Self::current) one. In place of a span of `tracing`, because a task enters and
/// leaves its scope with each wake-up, and this costs some nanoseconds.
///
/// ```
/// use couplet_endpoint::RelayName;
///
/// let said = RelayName::new("postgres").in_scope(|| RelayName::current().to_string());
/// assert_eq!(said, "postgres");
/// assert_eq!(RelayName::current(), RelayName::NONE);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RelayName(Option<Arc<Box<str>>>);

/// A future that has a [`RelayName`] while it is polled and when it is dropped: made by
/// [`RelayName::scope`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Named<F> {
    name: RelayName,
    /// None only while it is being dropped.
    #[pin]
    future: Option<F>,
}

/// Until it is dropped this thread has the name, whose place holds the one from before.
struct Entered<'a>(&'a mut RelayName);

// ===== impl RelayName =====

impl RelayName {
    /// No name.
    pub const NONE: Self = Self(None);

    /// This name.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self(Some(Arc::new(name.into())))
    }

    /// The name of the relay that this task works for.
    pub fn current() -> Self {
        // When the thread is ending it works for none.
        CURRENT
            .try_with(|current| current.borrow().clone())
            .unwrap_or_default()
    }

    /// The name, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_ref().map(|name| &***name)
    }

    /// The future, with this name.
    pub const fn scope<F>(self, future: F) -> Named<F> {
        Named {
            name: self,
            future: Some(future),
        }
    }

    /// Calls a function with this name.
    pub fn in_scope<T>(&self, call: impl FnOnce() -> T) -> T {
        let mut name = self.clone();
        let _entered = Entered::new(&mut name);
        call()
    }
}

impl fmt::Debug for RelayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RelayName").field(&self.as_str()).finish()
    }
}

/// Without a name it is empty.
impl fmt::Display for RelayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().unwrap_or_default().fmt(f)
    }
}

// ===== impl Named =====

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(this.name);
        let future = this.future.as_pin_mut();
        future.expect("it is not being dropped").poll(cx)
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Named<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _entered = Entered::new(this.name);
        this.future.set(None);
    }
}

// ===== impl Entered =====

impl<'a> Entered<'a> {
    fn new(name: &'a mut RelayName) -> Self {
        exchange(name);
        Self(name)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        exchange(self.0);
    }
}

fn exchange(name: &mut RelayName) {
    let _ = CURRENT.try_with(|current| mem::swap(&mut *current.borrow_mut(), name));
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, panic::catch_unwind};

    use super::*;

    fn current() -> String {
        RelayName::current().to_string()
    }

    #[tokio::test]
    async fn each_task_has_its_own_name_between_the_polls_of_the_others() {
        let says = |name: &'static str| {
            RelayName::new(name).scope(async move {
                for _ in 0..10 {
                    assert_eq!(current(), name);
                    tokio::task::yield_now().await;
                }
            })
        };
        let tasks = ["a", "b", "a"].map(|name| tokio::spawn(says(name)));
        for task in tasks {
            task.await.unwrap();
            assert_eq!(current(), "");
        }
    }

    #[tokio::test]
    async fn a_future_that_is_dropped_has_its_name_to_the_end() {
        struct Says(Arc<std::sync::Mutex<String>>);
        impl Drop for Says {
            fn drop(&mut self) {
                *self.0.lock().unwrap() = current();
            }
        }
        let said = Arc::default();
        let says = Says(Arc::clone(&said));
        let never = RelayName::new("a").scope(poll_fn(move |_| {
            let _ = &says;
            Poll::<()>::Pending
        }));
        drop(never);
        assert_eq!(*said.lock().unwrap(), "a");
        assert_eq!(current(), "");
    }

    #[test]
    fn scopes_are_nested_and_left_by_a_panic() {
        let outer = RelayName::new("outer");
        outer.in_scope(|| {
            catch_unwind(|| RelayName::new("inner").in_scope(|| panic!("as it was told")))
                .unwrap_err();
            assert_eq!(current(), "outer");
            RelayName::NONE.in_scope(|| assert_eq!(current(), ""));
        });
        assert_eq!(current(), "");
    }
}
