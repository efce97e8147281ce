//! The system's files: hosts(5), and the domains of resolv.conf(5).

#[cfg(unix)]
use std::fs;
use std::net::IpAddr;

use hickory_resolver::{
    Hosts,
    config::ResolverConfig,
    lookup::Lookup,
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};

use super::MOST;
use crate::address::HostName;

pub(super) fn absolute(name: &HostName) -> Option<Name> {
    let mut name = Name::from_ascii(name.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The names that are meant, as resolv.conf(5) has it.
pub(super) fn searched(name: &HostName, config: &ResolverConfig, dots: usize) -> Vec<Name> {
    let Some(absolute) = absolute(name) else {
        return Vec::new();
    };
    let text = name.as_str();
    if text.ends_with('.') || text.eq_ignore_ascii_case("localhost") {
        return vec![absolute];
    }
    let domains = match (config.search(), config.domain()) {
        ([], Some(domain)) => std::slice::from_ref(domain),
        (search, _) => search,
    };
    let within = |domain: &Name| {
        let relative = Name::from_ascii(text).ok()?;
        relative.append_domain(domain).ok()
    };
    let mut names: Vec<_> = domains.iter().filter_map(within).collect();
    match text.matches('.').count() >= dots {
        true => names.insert(0, absolute),
        false => names.push(absolute),
    }
    names
}

/// What the file of hosts says.
pub(super) fn hosts(name: &HostName) -> Vec<IpAddr> {
    let Some(name) = absolute(name) else {
        return Vec::new();
    };
    of_name(&name, &read_hosts(&name))
}

fn of_name(name: &Name, hosts: &Hosts) -> Vec<IpAddr> {
    let found = [RecordType::AAAA, RecordType::A]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let ips = |lookup: Lookup| {
        let ips = lookup
            .answers()
            .iter()
            .filter_map(|record| record.data.ip_addr());
        ips.take(MOST).collect::<Vec<_>>()
    };
    found.flat_map(ips).collect()
}

#[cfg(unix)]
fn read_hosts(name: &Name) -> Hosts {
    let text = fs::read("/etc/hosts").unwrap_or_default();
    parse(name, &String::from_utf8_lossy(&text))
}

/// Of a large file, such as a list of advertisers, only the lines that may have the name.
#[cfg(unix)]
fn parse(name: &Name, text: &str) -> Hosts {
    let name = name.to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let mut hosts = Hosts::default();
    for line in text.lines().map(str::to_ascii_lowercase) {
        if line.contains(name) {
            // Of a line in memory nothing but the text can be wrong, and such text is left out.
            let _ = hosts.read_hosts_conf(line.as_bytes());
        }
    }
    hosts
}

#[cfg(not(unix))]
fn read_hosts(_: &Name) -> Hosts {
    Hosts::from_system().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::new(text).unwrap()
    }

    fn config(search: &[&str]) -> ResolverConfig {
        let search = search.iter().map(|name| Name::from_ascii(name).unwrap());
        ResolverConfig::from_parts(None, search.collect(), Vec::new())
    }

    #[test]
    fn a_short_name_is_searched_first_and_an_absolute_one_is_taken_as_it_is() {
        let lan = config(&["lan.test.", "test"]);
        for (text, dots, names) in [
            ("db", 1, &["db.lan.test.", "db.test.", "db."][..]),
            ("db.eu", 1, &["db.eu.", "db.eu.lan.test.", "db.eu.test."]),
            ("db.eu", 2, &["db.eu.lan.test.", "db.eu.test.", "db.eu."]),
            ("db.", 1, &["db."]),
            ("LOCALHOST", 1, &["LOCALHOST."]),
        ] {
            let found = searched(&name(text), &lan, dots);
            let found: Vec<_> = found.iter().map(Name::to_ascii).collect();
            assert_eq!(found, names, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn hosts_are_found_by_each_of_their_names() {
        let text = "127.0.0.1 localhost\n# 192.0.2.1 db\n192.0.2.2\tDB.test db # the one\n\
            2001:db8::2 db\nnonsense db\n192.0.2.3 db2\n\u{1b} db\n";
        for (text_of_name, ips) in [
            ("db", &["2001:db8::2", "192.0.2.2"][..]),
            ("Db.Test.", &["192.0.2.2"]),
            ("db2", &["192.0.2.3"]),
            ("test", &[]),
        ] {
            let name = absolute(&name(text_of_name)).unwrap();
            let found = of_name(&name, &parse(&name, text));
            let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(found, ips, "{text_of_name}");
        }
    }
}
