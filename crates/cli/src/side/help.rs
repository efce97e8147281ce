use std::fmt::Write;

use couplet_connector::endpoint::{Address, AddressError};

use crate::mistake::{Mistake, alternatives, nearest};

use super::{
    EndpointSpec, Given, Word,
    options::{
        ALL, DIAL_UNIX_ONLY, LEFT_OUT, NOT_HANDED_OVER, NOT_QUIC, NOT_SRV, NOT_STDIO, NOT_VSOCK,
        On, QUIC_ONLY, SOCKET_ONLY, SideOption, TCP_ONLY, Value,
    },
};

/// The options of a side, a line each.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for (on, title) in [
        (On::Either, "Options of a side:"),
        (On::Listen, "Of a listening side:"),
        (On::ListenUnix, "Of a listening Unix socket:"),
        (On::Dial, "Of a dialled side:"),
    ] {
        let _ = writeln!(text, "{title}");
        for option in ALL.iter().filter(|option| option.on == on) {
            line(&mut text, 2, &form(option), option.help);
            for setting in option.settings {
                let form = format!("{}.{}={}", option.name, setting.name, setting.value);
                line(&mut text, 4, &form, setting.help);
            }
        }
    }
    text
}

fn line(text: &mut String, indent: usize, form: &str, help: &str) {
    let width = 40 - indent;
    let _ = writeln!(text, "{:indent$}{form:width$}  {help}", "");
}

/// How it is written.
pub(super) fn form(option: &SideOption) -> String {
    let name = option.name;
    match option.value {
        Value::None => name.to_owned(),
        Value::Needed(value) => format!("{name}={value}"),
        Value::Optional(value) => format!("{name}[={value}]"),
    }
}

/// Is this `NAME`, or `NAME=VALUE`, an option of a side?
pub(crate) fn is_option(word: &str) -> bool {
    let name = word.split(['=', '.']).next();
    ALL.iter().any(|option| Some(option.name) == name)
}

/// How an option is written, on a side that may have it.
pub(crate) fn option_form(name: &str) -> Option<String> {
    let option = ALL.iter().find(|option| option.name == name)?;
    Some(form(option))
}

/// What a listening or a dialled side may have.
pub(super) fn names(endpoint: &EndpointSpec) -> String {
    let fits = ALL
        .iter()
        .filter(|option| does_not_fit(option, endpoint).is_none());
    let names: Vec<_> = fits.map(|option| option.name).collect();
    if endpoint.is_stdio() {
        return format!("`stdio` has {}", names.join(", "));
    }
    if endpoint.is_exec() {
        return format!("a program has {}", names.join(", "));
    }
    if endpoint.is_handed_over() {
        return format!("`listen:routes` has {}", names.join(", "));
    }
    let (way, unix) = (
        if endpoint.is_dialled() {
            "dialled"
        } else {
            "listening"
        },
        match endpoint {
            endpoint if endpoint.is_unix() => "Unix socket",
            endpoint if endpoint.is_vsock() => "port of vsock",
            endpoint if endpoint.is_quic() => "side of QUIC",
            _ => "side",
        },
    );
    format!("a {way} {unix} has {}", names.join(", "))
}

/// Why such a side can't have this option.
pub(super) fn does_not_fit(option: &SideOption, endpoint: &EndpointSpec) -> Option<String> {
    let name = option.name;
    let right = match option.on {
        On::Listen if endpoint.is_dialled() => "a listening side",
        On::Listen | On::Either
            if matches!(endpoint.address, Address::ListenSystemd(_)) && name == "reuse-port" =>
        {
            "a port that Couplet opens; systemd has `ReusePort=`"
        }
        On::Either if matches!(endpoint.address, Address::ListenSystemd(_)) && name == "mptcp" => {
            "a port that Couplet opens; systemd has `SocketProtocol=mptcp`"
        }
        _ if QUIC_ONLY.contains(&name) && !endpoint.is_quic() => {
            "QUIC, `listen:quic:PORT` or `dial:quic:HOST:PORT`"
        }
        _ if endpoint.is_vsock() && NOT_VSOCK.contains(&name) => {
            "peers with an address of a network, not for vsock"
        }
        On::Dial if !endpoint.is_dialled() => "a dialled side",
        On::Dial if name == DIAL_UNIX_ONLY && !endpoint.is_unix() => {
            "a dialled Unix socket, `dial:unix:PATH`; a machine is `dial:vsock:CID:PORT`"
        }
        On::ListenUnix if endpoint.is_dialled() || !endpoint.is_unix() => {
            "a listening Unix socket, `listen:unix:PATH`"
        }
        _ if endpoint.is_handed_over() && NOT_HANDED_OVER.contains(&name) => {
            "a socket; the relay that hands the connections over has it"
        }
        _ if endpoint.is_stdio() && [SOCKET_ONLY, NOT_STDIO].concat().contains(&name) => "a socket",
        _ if endpoint.is_exec() && SOCKET_ONLY.contains(&name) => "a socket, not for a program",
        _ if endpoint.is_quic() => {
            let (_, why) = NOT_QUIC.iter().find(|(option, _)| *option == name)?;
            return Some(format!("`{name}` is not for QUIC: {why}"));
        }
        _ if endpoint.is_srv() => {
            let (_, why) = NOT_SRV.iter().find(|(option, _)| *option == name)?;
            return Some(format!("`{name}` is not for `dial:srv:`: {why}"));
        }
        _ => {
            let kind = match endpoint {
                endpoint if endpoint.is_unix() => "a Unix socket",
                endpoint if endpoint.is_vsock() => "vsock",
                _ => return None,
            };
            let (_, why) = TCP_ONLY.iter().find(|(option, _)| *option == name)?;
            return Some(format!("`{name}` is for TCP, not for {kind}: {why}"));
        }
    };
    Some(format!("`{name}` is for {right}"))
}

/// There is no such option: what was meant, if that can be told, or what there is.
pub(super) fn unknown(
    word: Word<'_>,
    name: Word<'_>,
    before: Option<(&SideOption, &Given<'_>)>,
) -> Mistake {
    let option = name.text.split('.').next().unwrap_or_default();
    if LEFT_OUT.contains(&option) {
        let message = format!("this program was built without `{option}`");
        return name.wrong(message, format!("one built with `--features {option}`"));
    }
    let message = format!("`{}` is not an option of a side", name.text);
    if name.text.trim().is_empty() {
        return word.wrong("an option is missing behind the comma", all_names());
    }
    // A second value of what stands before it.
    if let Some((option, given)) = before
        && given.settings.is_empty()
        && let (Value::Needed(form) | Value::Optional(form), Some(value)) =
            (option.value, given.value())
        && form.contains("+…")
        && (word.text.starts_with(|c: char| c.is_ascii_digit()) || word.text.contains("::"))
    {
        let joined = format!("`{}={}+{}`", option.name, value.text, word.text);
        let hint = format!("more than one are joined by `+`: {joined}");
        return word.wrong(message, hint);
    }
    let meant = name.text.trim_start_matches('-');
    match nearest(meant, ALL.iter().map(|option| option.name)) {
        Some(right) if right.eq_ignore_ascii_case(meant.trim()) => name.wrong(
            message,
            format!("`{right}`, without blanks or hyphens before it"),
        ),
        Some(right) => name.wrong(message, format!("did you mean `{right}`?")),
        None => match nearest(meant, FLAGS.iter().copied()) {
            Some(flag) => name.wrong(
                format!(
                    "`{}` is not an option of a side, but a flag of the command",
                    name.text
                ),
                format!("`--{flag}`, behind the sides"),
            ),
            None => name.wrong(message, all_names()),
        },
    }
}

/// The address of a side.
pub(super) fn address(word: Word<'_>) -> Result<Address, Mistake> {
    let address = any_address(word)?;
    #[cfg(not(feature = "quic"))]
    if let Address::ListenQuic(_) | Address::DialQuic(_) = address {
        let message = "this program was built without `quic`";
        return Err(word.wrong(message, "one built with `--features quic`"));
    }
    #[cfg(not(feature = "dns"))]
    if let Address::DialSrv(_) = address {
        let message = "this program was built without `dns`";
        return Err(word.wrong(message, "one built with `--features dns`"));
    }
    Ok(address)
}

fn any_address(word: Word<'_>) -> Result<Address, Mistake> {
    word.text.parse().map_err(|error: AddressError| {
        let (scheme, rest) = word.cut(':');
        let near = nearest(scheme.text, ["listen", "dial"]);
        match (near, rest) {
            (Some(near), Some(rest)) if near != scheme.text => {
                let message = format!("`{}` is not a kind of side", scheme.text);
                scheme.wrong(message, format!("did you mean `{near}:{}`?", rest.text))
            }
            _ => Mistake::new(error.message(), error.hint()).at(word.input, error.span()),
        }
    })
}

/// The flags of the command that are no options of a side, too.
pub(crate) const FLAGS: &[&str] = &[
    "handshake-timeout",
    "max-handshakes",
    "max-waiting",
    "name",
    "wait-timeout",
    "half-close-timeout",
    "idle-timeout",
    "max-lifetime",
    "drain-timeout",
    "max-pairs",
    "exit-when-idle",
    "once",
    "reconnect",
    "threads",
    "log-traffic",
    "log-traffic-limit",
    "fault",
    "fault-seed",
    "bandwidth",
    "bandwidth-per-addr",
    "bandwidth-total",
    "quota",
    "access-log",
    "admin",
    "admin-token",
    "admin-host",
    "access-log-every",
    "generations",
    "on-reload",
    "privacy",
    "access-log-format",
    "capture",
    "capture-dir",
    "capture-roll",
    "capture-limit",
    "verbose",
    "quiet",
    "log-format",
    "queue",
    "engine",
    "engine-ca",
    "engine-cert",
    "engine-key",
    "engine-password",
    "engine-sentinel-password",
    "lease",
    "cluster",
    "cluster-dial",
    "cluster-ready",
    "cluster-secret",
    "node-name",
    "node-addr",
    "public-addr",
];

/// There is no such setting.
pub(super) fn unknown_setting(name: Word<'_>, setting: &str, option: &SideOption) -> Mistake {
    let message = format!("`{setting}` is not a setting of `{}`", option.name);
    let names: Vec<_> = option.settings.iter().map(|known| known.name).collect();
    if names.is_empty() {
        return name.wrong(message, format!("`{}` has no settings", option.name));
    }
    match nearest(setting, names.iter().copied()) {
        Some(near) => name.wrong(message, format!("did you mean `{}.{near}`?", option.name)),
        None => name.wrong(message, alternatives(&names)),
    }
}

pub(super) fn all_names() -> String {
    let of = |on| {
        let fits = ALL.iter().filter(move |option| option.on == on);
        let names: Vec<_> = fits.map(|option| option.name).collect();
        names.join(", ")
    };
    let (either, listen, dial) = (of(On::Either), of(On::Listen), of(On::Dial));
    let unix = of(On::ListenUnix);
    format!("{either}; on listen: {listen}; on listen:unix: {unix}; on dial: {dial}")
}
