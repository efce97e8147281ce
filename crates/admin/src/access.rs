use std::fmt;

use subtle::ConstantTimeEq;

/// The rights of requests.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// `GET` and `HEAD` alone: nothing can be changed.
    #[default]
    Look,
    /// Everything: for an endpoint that only its owner reaches, such as a Unix socket, or that a layer or
    /// the program around the router protects.
    Everything,
    /// Everything, for requests with this token: `Authorization: Bearer TOKEN`.
    Token(String),
}

// ===== impl Access =====

impl Access {
    /// Has a request with this `Authorization` header the token, where one is needed?
    pub(crate) fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Self::Token(token) = self else {
            return true;
        };
        let given = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
        given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes())))
    }

    pub(crate) const fn may_change(&self) -> bool {
        !matches!(self, Self::Look)
    }
}

impl fmt::Debug for Access {
    // Not the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "Look",
            Self::Everything => "Everything",
            Self::Token(_) => "Token(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_whole_of_it() {
        let access = Access::Token("correct horse".into());
        assert!(access.admits(Some(b"Bearer correct horse")));
        for wrong in [
            None,
            Some(&b"Bearer correct hors"[..]),
            Some(b"Bearer correct horse "),
            Some(b"correct horse"),
            Some(b"Basic correct horse"),
        ] {
            assert!(!access.admits(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{access:?}"), "Token(…)");
        assert!(Access::Look.admits(None) && !Access::Look.may_change());
    }
}
