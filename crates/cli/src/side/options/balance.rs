//! `balance` and `check`: of a side that dials several targets.

use couplet_connector::{
    SideLayers,
    endpoint::{Address, Balance, Check, TargetAddr},
};

use super::{Does, On, SideOption, SideSetting, Value};
use crate::{
    mistake::Mistake,
    side::{EndpointSpec, Given, Word},
    units::{Limit, duration},
};

pub(super) static BALANCE: SideOption = SideOption {
    name: "balance",
    on: On::Dial,
    value: Value::Needed("WAY"),
    help: "share clients among several targets: failover, round-robin, least, random-two, hash-addr [default: failover]",
    settings: &[
        setting(
            "weights",
            "NUMBER+…",
            "the share of each target, in their order [default: 1 each]",
        ),
        setting(
            "backup",
            "TARGET+…",
            "only dialled while no other target is up",
        ),
        setting(
            "failures",
            "NUMBER",
            "dials in a row that fail until a target is down [default: 3]",
        ),
        setting(
            "retry",
            "TIME",
            "how long a client waits for a target where none is up [default: 0]",
        ),
    ],
    does: Does::Set(balance),
};

pub(super) static CHECK: SideOption = SideOption {
    name: "check",
    on: On::Dial,
    value: Value::Optional("TIME"),
    help: "dial each target every TIME, and give clients to none that fails [default: 2s]",
    settings: &[
        setting("timeout", "TIME", "how long a check may take [default: 1s]"),
        setting(
            "send",
            "TEXT",
            r"bytes that a check sends; \r, \n and \xNN as usual",
        ),
        setting("expect", "TEXT", "bytes that the target has to answer"),
        setting(
            "rise",
            "NUMBER",
            "checks in a row that bring a target up [default: 1]",
        ),
        setting(
            "fall",
            "NUMBER",
            "failed checks in a row that take a target down [default: 2]",
        ),
        setting(
            "stack",
            "on",
            "checks go through the options behind the address, too, such as tls and token",
        ),
        setting(
            "all-down",
            "reset|close",
            "while no target is up: reset clients, or close the port that they come to [default: reset]",
        ),
    ],
    does: Does::Set(check),
};

const fn setting(name: &'static str, value: &'static str, help: &'static str) -> SideSetting {
    SideSetting {
        name,
        value,
        help,
        many: false,
    }
}

const WAYS: &[(&str, Balance)] = &[
    ("failover", Balance::Failover),
    ("round-robin", Balance::RoundRobin),
    ("least", Balance::Least),
    ("random-two", Balance::RandomTwo),
    ("hash-addr", Balance::HashAddr),
];

fn balance(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let targets: &[TargetAddr] = match &endpoint.address {
        Address::DialSeveral(targets) => targets,
        // A line may have several.
        _ if endpoint.routes.is_some() => &[],
        Address::DialSrv(_) => {
            let message = "`balance` is not for `dial:srv:`";
            return Err(given.wrong(message, "the priorities and weights of its records"));
        }
        _ => {
            let message = "`balance` has one target to choose from";
            let hint = "`dial:HOST:PORT|HOST:PORT`, or `route` before it";
            return Err(given.wrong(message, hint));
        }
    };
    let word = given.needed()?;
    let names: Vec<_> = WAYS.iter().map(|(name, _)| *name).collect();
    let way = WAYS.iter().find(|(name, _)| *name == word.text);
    let message = || format!("`{}` is not a way to balance", word.text);
    let (name, way) = way.ok_or_else(|| word.unknown(message(), &names))?;
    let weights = match given.setting("weights") {
        Some(word) => weights(word, targets.len())?,
        None => vec![1; targets.len()],
    };
    let is_backup = match given.setting("backup") {
        Some(word) => backups(word, targets)?,
        None => vec![false; targets.len()],
    };
    let spec = &mut endpoint.targets;
    (spec.balance, spec.weights, spec.is_backup) = (*way, weights, is_backup);
    spec.say("balance", name);
    if let Some(word) = given.setting("weights") {
        spec.say("balance.weights", word.text);
    }
    if let Some(word) = given.setting("backup") {
        spec.say("balance.backup", word.text);
    }
    if let Some(word) = given.setting("failures") {
        spec.failures = word.parse(number)?;
        spec.say("balance.failures", spec.failures);
    }
    if let Some(word) = given.setting("retry") {
        spec.retry = word.parse(duration)?;
        spec.say("balance.retry", Limit::At(spec.retry));
    }
    Ok(())
}

fn weights(word: Word<'_>, targets: usize) -> Result<Vec<u32>, Mistake> {
    let parts = word.text.split('+').map(number);
    let weights: Vec<_> = word.parse(|_| parts.collect::<Result<_, _>>())?;
    match weights.len() == targets {
        true => Ok(weights),
        false => {
            let message = format!("{} weights for {targets} targets", weights.len());
            Err(word.wrong(message, "one for each, in their order: `2+1+1`"))
        }
    }
}

fn backups(word: Word<'_>, targets: &[TargetAddr]) -> Result<Vec<bool>, Mistake> {
    let mut is_backup = vec![false; targets.len()];
    for text in word.text.split('+') {
        let named = text.parse::<TargetAddr>().ok();
        let mut targets = targets.iter();
        let at = targets.position(|target| Some(target) == named.as_ref());
        let at = at.ok_or_else(|| {
            let message = format!("`{text}` is none of the targets");
            word.wrong(message, "one of them, as it stands in the address")
        })?;
        is_backup[at] = true;
    }
    match is_backup.contains(&false) {
        true => Ok(is_backup),
        false => Err(word.wrong("all targets are backups", "one at least that is none")),
    }
}

fn check(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let dials_one = matches!(endpoint.address, Address::Dial(_) | Address::DialUnix(_));
    if !dials_one && !matches!(endpoint.address, Address::DialSeveral(_)) {
        return Err(given.wrong("`check` has no target", "`dial:HOST:PORT`"));
    }
    let spec = &mut endpoint.targets;
    let mut check = Check::new();
    spec.say("check", given.value().map_or("2s", |word| word.text));
    if let Some(word) = given.value() {
        check = check.every(word.parse(duration)?);
    }
    let settings: [(_, _, Set); 5] = [
        ("timeout", "check.timeout", |check, word| {
            Ok(check.timeout(word.parse(duration)?))
        }),
        ("send", "check.send", |check, word| {
            Ok(check.send(&word.parse(bytes)?))
        }),
        ("expect", "check.expect", |check, word| {
            Ok(check.expect(&word.parse(bytes)?))
        }),
        ("rise", "check.rise", |check, word| {
            Ok(check.rise(word.parse(number)?))
        }),
        ("fall", "check.fall", |check, word| {
            Ok(check.fall(word.parse(number)?))
        }),
    ];
    for (name, full_name, set) in settings {
        if let Some(word) = given.setting(name) {
            check = set(check, word)?;
            spec.say(full_name, word.text);
        }
    }
    spec.check = Some(check);
    if let Some(word) = given.setting("stack") {
        if word.text != "on" {
            let message = format!("`{}` is not a value of `check.stack`", word.text);
            return Err(word.unknown(message, &["on"]));
        }
        // What is in it is known at the end.
        spec.stack = Some(SideLayers::new());
        spec.say("check.stack", word.text);
    }
    if let Some(word) = given.setting("all-down") {
        spec.closes = word.parse(all_down)?;
        spec.say("check.all-down", word.text);
    }
    Ok(())
}

/// Is the port to be closed?
fn all_down(text: &str) -> Result<bool, Mistake> {
    match text {
        "reset" => Ok(false),
        "close" if cfg!(target_os = "linux") => Ok(true),
        "close" => Err(Mistake::new("`close` is for Linux", "`reset`")),
        _ => {
            let message = format!("`{text}` is not done to clients while all targets are down");
            Err(Mistake::unknown(message, text, &["reset", "close"]))
        }
    }
}

type Set = fn(Check, Word<'_>) -> Result<Check, Mistake>;

fn number(text: &str) -> Result<u32, Mistake> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| {
            let message = format!("`{text}` is not a number from 1 on");
            Mistake::new(message, "a number like `3`")
        })
}

/// A text with escapes.
fn bytes(text: &str) -> Result<Vec<u8>, Mistake> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, behind) = match rest {
            [b'r', behind @ ..] => (b'\r', behind),
            [b'n', behind @ ..] => (b'\n', behind),
            [b't', behind @ ..] => (b'\t', behind),
            [b'\\', behind @ ..] => (b'\\', behind),
            [b'x', high, low, behind @ ..] if [high, low].iter().all(|c| c.is_ascii_hexdigit()) => {
                let digit = |c: &u8| char::from(*c).to_digit(16).unwrap_or(0) as u8;
                (16 * digit(high) + digit(low), behind)
            }
            _ => {
                let message = format!("`{text}` has a backslash that begins nothing");
                return Err(Mistake::new(message, r"`\r`, `\n`, `\t`, `\\` or `\x2c`"));
            }
        };
        bytes.push(byte);
        rest = behind;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes() {
        assert_eq!(bytes(r"PING\r\n\x2c\\ä").unwrap(), b"PING\r\n,\\\xc3\xa4");
        for wrong in [r"\", r"\q", r"\x1", r"\xg0"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
