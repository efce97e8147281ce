//! `via=env`: the proxy that the environment names, as curl and others read it.

use std::env;

use couplet_connector::{
    endpoint::{Address, DialAddr, Host},
    layers::Networks,
};
use couplet_protocols::proxy::Login;

use crate::{mistake::Mistake, side::EndpointSpec};

/// The variables, the first that is set counts. `HTTP_PROXY` is left out, as a web server sets that to what a
/// client says (CVE-2016-5385).
const NAMES: [&str; 5] = [
    "all_proxy",
    "ALL_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
];

/// Hosts that are dialled directly.
const NONE_FOR: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The URL of the proxy, without its login; `None` where there is none for this target.
pub(super) fn proxy(
    endpoint: &EndpointSpec,
) -> Result<Option<(&'static str, String, Option<Login>)>, Mistake> {
    let Address::Dial(target) = &endpoint.address else {
        let message =
            "`via=env` is for one target, of which NO_PROXY tells whether it needs the proxy";
        return Err(Mistake::new(message, "`via=URL`, or `dial:HOST:PORT`"));
    };
    let set = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let Some(name) = NAMES.iter().find(set) else {
        return Ok(None);
    };
    if NONE_FOR.iter().find(set).is_some_and(|name| {
        let hosts = env::var(name).unwrap_or_default();
        hosts
            .split([',', ' '])
            .any(|host| fits(host.trim(), target))
    }) {
        return Ok(None);
    }
    let wrong =
        |message: String| Mistake::new(message, "`http://HOST:PORT` or `socks5://HOST:PORT`");
    let url = env::var(name).map_err(|_| wrong(format!("${name} is not text")))?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (login, addr) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((login, addr)) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let login = Login::new(&decoded(user), decoded(password)).map_err(|error| {
                wrong(format!("${name} has a login that can't be used: {error}"))
            })?;
            (Some(login), addr)
        }
    };
    let addr = addr.split('/').next().unwrap_or_default();
    Ok(Some((name, format!("{scheme}://{addr}"), login)))
}

/// Does an entry of `NO_PROXY` name the target?
fn fits(entry: &str, target: &DialAddr) -> bool {
    if entry == "*" {
        return true;
    }
    match target.host() {
        Host::Ip(ip) => entry
            .parse::<Networks>()
            .is_ok_and(|networks| networks.contains(*ip)),
        Host::Name(name) => {
            let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let entry = entry.trim_matches('.').to_ascii_lowercase();
            let below = name.strip_suffix(&entry);
            !entry.is_empty() && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        }
        _ => false,
    }
}

/// Without the percent signs of a URL (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let pair = match behind {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        for (entry, target, fits_it) in [
            ("*", "h:1", true),
            ("example.org", "example.org:1", true),
            (".example.org", "a.Example.org.:1", true),
            ("example.org", "badexample.org:1", false),
            ("", "h:1", false),
            ("10.0.0.0/8", "10.1.2.3:1", true),
            ("10.0.0.1", "10.1.2.3:1", false),
            ("::1", "[::1]:1", true),
            ("localhost", "127.0.0.1:1", false),
        ] {
            let target = target.parse().unwrap();
            assert_eq!(fits(entry, &target), fits_it, "{entry} {target}");
        }
        assert_eq!(decoded("p%40ss%zz%"), "p@ss%zz%");
    }
}
