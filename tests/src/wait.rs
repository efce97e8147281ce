use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take. It is never what makes a test pass, only what makes a test that
/// hangs fail.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is there.
///
/// # Panics
///
/// After [`LIMIT`], with `what` was waited for.
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
