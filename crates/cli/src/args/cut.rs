//! Sides that a blank has cut in two: the shell makes two words of `listen:1, token=@FILE`.

use crate::{mistake::Mistake, side::is_option};

/// Refuses an option that stands apart from its side.
pub(super) fn refuse_cut_option(words: &[&str]) -> Result<(), Mistake> {
    let is_cut =
        |pair: &&[&str]| pair[0].ends_with(',') || is_option(pair[1].trim_start_matches(','));
    let Some([before, behind]) = words.windows(2).find(is_cut) else {
        return Ok(());
    };
    let address = before.split(',').next().unwrap_or_default();
    let option = behind.trim_start_matches(',').split('=').next();
    let option = option.unwrap_or_default();
    Err(Mistake::new(
        format!("a blank separates `{option}` from its side"),
        format!("leave it out: `{address},{option}…`"),
    ))
}

/// The mistake where a kind of side stands apart from its address.
pub(super) fn cut_address(words: &[&str]) -> Option<Mistake> {
    let is_kind = |word: &str| ["listen", "dial", "exec"].contains(&word);
    let pair = words.windows(2).find(|pair| is_kind(pair[0]))?;
    Some(Mistake::new(
        format!("a blank separates `{}` from its address", pair[0]),
        format!("a colon: `{}:{}`", pair[0], pair[1]),
    ))
}
