//! Where the relays of a file listen: no two of them at one address, and none where the admin endpoint does.

use super::RelayConfig;
#[cfg(feature = "admin")]
use crate::listening::of_admin;
use crate::{common::CommonArgs, listening::Listening, mistake::Mistake};

/// Returns the mistakes, with the number of the relay. The process has these flags; `line_of` tells where a relay,
/// or else the admin endpoint, stands.
pub(super) fn check(
    process: Option<&CommonArgs>,
    relays: &[RelayConfig],
    line_of: impl Fn(Option<usize>) -> String,
) -> Vec<(usize, Mistake)> {
    let mut wrong = Vec::new();
    let mut taken: Vec<(Option<usize>, Listening<'_>)> = Vec::new();
    #[cfg(feature = "admin")]
    let admin = process.and_then(|process| process.admin.spec().ok());
    #[cfg(not(feature = "admin"))]
    let _ = process;
    #[cfg(feature = "admin")]
    taken.extend(admin.iter().flat_map(of_admin).map(|it| (None, it)));
    for (number, relay) in relays.iter().enumerate() {
        let own = relay.plan.listening();
        for listening in &own {
            let first = taken.iter().find(|(_, taken)| taken.excludes(listening));
            if let Some((of, first)) = first {
                let name = match of {
                    Some(number) => format!("`{}`", relays[*number].name),
                    None => "the admin endpoint".to_owned(),
                };
                let message = format!(
                    "`{}` is taken: {name} has `{}`, at {}",
                    listening.address(),
                    first.address(),
                    line_of(*of)
                );
                let mistake = Mistake::new(message, "another address").about(listening.key);
                wrong.push((number, mistake));
            }
        }
        taken.extend(own.into_iter().map(|listening| (Some(number), listening)));
    }
    wrong
}
