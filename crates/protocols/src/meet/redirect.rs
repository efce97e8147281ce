use couplet_endpoint::DialAddr;

const VERB: &str = "goto ";

/// The relay to which a client is sent, because its partner waits there.
///
/// In the extensions of a connection that is refused as
/// [`Redirected`](couplet_pairing::Refusal::Redirected), [`by_key`](super::by_key) makes the answer of it. For
/// clients that [follow](super::Meeting::follows) alone: others take the answer for a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    to: DialAddr,
}

// ===== impl Redirect =====

impl Redirect {
    /// Sends the client there.
    pub fn new(to: DialAddr) -> Self {
        Self { to }
    }

    /// Where the client is sent.
    pub fn to(&self) -> &DialAddr {
        &self.to
    }

    /// The answer of a relay, without its end.
    pub(super) fn parse(answer: &[u8]) -> Option<Self> {
        let to = std::str::from_utf8(answer).ok()?.strip_prefix(VERB)?;
        let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic());
        let to = to.parse().ok().filter(|_| is_plain)?;
        Some(Self { to })
    }

    /// The answer, with its end.
    pub(super) fn line(&self) -> String {
        format!("{VERB}{}\n", self.to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a relay says, what is read of it is said again in one line.
        #[test]
        fn an_answer_is_read(rest in "[a-z0-9.:%\\[\\]\\* \u{e9}\n-]{0,24}") {
            if let Some(redirect) = Redirect::parse(format!("{VERB}{rest}").as_bytes()) {
                let line = redirect.line();
                prop_assert_eq!(line.matches('\n').count(), 1);
                let again = Redirect::parse(line.trim_end().as_bytes());
                prop_assert_eq!(again, Some(redirect));
            }
        }
    }

    #[test]
    fn an_answer_is_read_as_it_is_written() {
        for to in [
            "relay.example.org:4000",
            "192.0.2.7:4000",
            "[2001:db8::7]:4000",
        ] {
            let redirect = Redirect::new(to.parse().unwrap());
            assert_eq!(redirect.line(), format!("goto {to}\n"));
            assert_eq!(
                Redirect::parse(format!("goto {to}").as_bytes()),
                Some(redirect)
            );
        }
        for wrong in [
            "ok",
            "goto",
            "goto ",
            "goto x",
            "goto x:0",
            "goto x:70000",
            "goto x:1 y",
            "GOTO x:1",
            "goto \u{1b}:1",
        ] {
            assert_eq!(Redirect::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
