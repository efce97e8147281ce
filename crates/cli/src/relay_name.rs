//! The names of relays.

/// The name of a relay that has none.
pub(crate) const UNNAMED: &str = "relay";

/// May a relay be called so?
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 41
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}
