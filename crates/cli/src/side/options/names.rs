//! `dns`, `family` and `last-answer`: which addresses of a name are dialled.

#[cfg(feature = "dns")]
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[cfg(feature = "dns")]
use couplet_connector::endpoint::Dns;
use couplet_connector::endpoint::Family;

use super::{Does, On, SideOption, Value};
#[cfg(feature = "dns")]
use crate::mistake::Mistake;
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

#[cfg(feature = "dns")]
pub(super) static DNS: SideOption = SideOption {
    name: "dns",
    on: On::Dial,
    value: Value::Optional("IP[:PORT]+…"),
    help: "look names up by asking these name servers, or those of /etc/resolv.conf, and again after their TTL",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.dns = Some(match given.value() {
            None => Dns::system(),
            Some(word) => {
                let servers = word.text.split('+').map(name_server);
                let servers: Vec<_> = word.parse(|_| servers.collect::<Result<_, _>>())?;
                Dns::servers(servers)
            }
        });
        Ok(())
    }),
};

/// `IP`, or `IP:PORT` with IPv6 in brackets.
#[cfg(feature = "dns")]
fn name_server(text: &str) -> Result<SocketAddr, Mistake> {
    const PORT: u16 = 53;
    let ip = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match (
        ip.unwrap_or(text).parse::<IpAddr>(),
        text.parse::<SocketAddr>(),
    ) {
        (Ok(ip), _) => Ok(SocketAddr::new(ip, PORT)),
        (_, Ok(addr)) if addr.port() > 0 => Ok(addr),
        _ => {
            let message = format!("`{text}` is not the address of a name server");
            let hint = "`192.0.2.53`, or `[2001:db8::53]:5353`; several are joined by `+`";
            Err(Mistake::new(message, hint))
        }
    }
}

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
