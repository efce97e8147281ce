//! Which words of a side may be secrets: they are shown nowhere.

use std::ops::Range;

use super::{
    SideWords,
    options::{ALL, via},
};

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
pub(super) fn within(side: &SideWords) -> impl Iterator<Item = Range<usize>> {
    side.spans().iter().skip(1).filter_map(|part| {
        let (start, word) = (part.start, &side.text()[part.clone()]);
        let (name, value) = word.split_once('=')?;
        let from = start + name.len() + 1;
        value_within(name, value).map(|secret| from + secret.start..from + secret.end)
    })
}

/// Where in the value of an option a secret is.
fn value_within(name: &str, value: &str) -> Option<Range<usize>> {
    if name == via::NAME {
        return password(value);
    }
    let option = name.split('.').next()?;
    let is_known = ALL.iter().any(|known| known.name == option);
    let may_be_secret = OF_FILES.contains(&name) || !is_known;
    let is_file = value.starts_with('@') || value.contains(":@");
    (may_be_secret && !is_file && !value.is_empty()).then_some(0..value.len())
}

/// The same in a line of a file, whose words end at quotes, too.
pub(crate) fn in_line(line: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = [',', '"', '\'', '[', ']'];
    let mut start = 0;
    line.split(ends).filter_map(move |word| {
        let at = start;
        start += word.len() + 1;
        let (name, value) = word.split_once('=')?;
        let name = name.trim_start();
        let is_key = name.ends_with(' ') || value.starts_with(' ') || value.is_empty();
        if is_key {
            return None;
        }
        let from = at + word.len() - value.len();
        value_within(name, value).map(|secret| from + secret.start..from + secret.end)
    })
}

/// Where in the URL of a proxy a password stands.
fn password(url: &str) -> Option<Range<usize>> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.rfind('@').filter(|end| *end > start)?;
    let colon = url[start..end].find(':')?;
    Some(start + colon + 1..end)
}
