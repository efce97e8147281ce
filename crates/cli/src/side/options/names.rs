//! `family` and `last-answer`: which addresses of a name are dialled.

use std::time::Duration;

use couplet_connector::endpoint::Family;

use super::{Does, On, SideOption, Value};
use crate::units::{Limit, duration};

/// The longest time for which old addresses are used.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) static FAMILY: SideOption = SideOption {
    name: "family",
    on: On::Dial,
    value: Value::Needed("4|6|prefer-4|prefer-6"),
    help: "dial only IPv4 or IPv6 addresses, or one of them first [default: the system's order]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let word = given.needed()?;
        let all = [
            Family::Ipv4,
            Family::Ipv6,
            Family::PreferIpv4,
            Family::PreferIpv6,
        ];
        let family = all
            .into_iter()
            .find(|family| family.to_string() == word.text);
        let message = || format!("`{}` is not a family of addresses", word.text);
        let known = ["4", "6", "prefer-4", "prefer-6"];
        endpoint.family = Some(family.ok_or_else(|| word.unknown(message(), &known))?);
        Ok(())
    }),
};

pub(super) static LAST_ANSWER: SideOption = SideOption {
    name: "last-answer",
    on: On::Dial,
    value: Value::Needed("TIME|never"),
    help: "use a name's last known addresses for TIME while no name server answers [default: 1h]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        let word = given.needed()?;
        endpoint.last_answer = Some(match word.text {
            "never" => Limit::Off,
            _ => match word.parse(duration)? {
                time if time > LONGEST => {
                    let message = format!(
                        "`{}` is too long for addresses that may be outdated",
                        word.text
                    );
                    return Err(word.wrong(message, "`1d` at most, or `never`"));
                }
                time => Limit::At(time),
            },
        });
        Ok(())
    }),
};
