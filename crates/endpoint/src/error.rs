use std::{error::Error, fmt};

/// Any error, as tower's own `BoxError`: the error type between services.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Whether `error`, or one of its causes, is an `E`.
///
/// ```
/// use couplet_endpoint::{BoxError, is_caused_by};
///
/// let error: BoxError = std::io::Error::other("boom").into();
/// assert!(is_caused_by::<std::io::Error>(&*error));
/// ```
pub fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    find_cause::<E>(error).is_some()
}

/// The first `E` among `error` and its causes.
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Shows an error and its causes on one line: `outer: middle: inner`. A cause whose text an error has at its own end
/// is not repeated.
///
/// ```
/// use couplet_endpoint::{Chain, Dial};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), couplet_endpoint::BoxError> {
/// let error = Dial::to("127.0.0.1:1")?.connect().await.unwrap_err();
/// assert_eq!(
///     Chain(&error).to_string(),
///     "cannot dial 127.0.0.1:1: Connection refused (os error 111)"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_that_an_error_has_said_is_not_repeated() {
        for (text, shown) in [
            ("can't start", "can't start: no port"),
            ("can't start: no port", "can't start: no port"),
        ] {
            let source = io::Error::other("no port");
            assert_eq!(Chain(&Outer { text, source }).to_string(), shown);
        }
    }
}
