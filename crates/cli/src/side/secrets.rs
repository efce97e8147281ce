//! Which words of a side may be secrets: they are shown nowhere.

use std::ops::Range;

use super::options::{ALL, via};

/// Options and settings whose value names a file, with `@`, because it is a secret.
const OF_FILES: &[&str] = &[
    "token",
    "signed-token",
    "challenge",
    "noise",
    "rendezvous",
    "rendezvous.token",
    "via.password",
    "socks5.users",
    "connect.users",
];

/// The values that may be secrets, in ascending order: of an option that takes a secret, without
/// `@FILE`, and of a word that is no option, which may be such an option misspelled.
pub(super) fn within(side: &str) -> impl Iterator<Item = Range<usize>> {
    let starts = side.match_indices(',').map(|(at, _)| at + 1);
    starts.filter_map(|start| {
        let word = side[start..].split(',').next()?;
        let (name, value) = word.split_once('=')?;
        let from = start + name.len() + 1;
        if name == via::NAME {
            return password(value).map(|password| from + password.start..from + password.end);
        }
        let option = name.split('.').next()?;
        let is_known = ALL.iter().any(|known| known.name == option);
        let may_be_secret = OF_FILES.contains(&name) || !is_known;
        let is_file = value.starts_with('@') || value.contains(":@");
        (may_be_secret && !is_file && !value.is_empty()).then_some(from..from + value.len())
    })
}

/// Where in the URL of a proxy a password stands.
fn password(url: &str) -> Option<Range<usize>> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.rfind('@').filter(|end| *end > start)?;
    let colon = url[start..end].find(':')?;
    Some(start + colon + 1..end)
}
