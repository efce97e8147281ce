//! `via=URL`: the proxies that a dialled side goes through.

use couplet_connector::{endpoint::DialAddr, layers::Replaceable};
use couplet_protocols::proxy::Login;

use super::{Does, On, SideOption, SideSetting, Value, of_file, secret, via_env};
use crate::{
    mistake::Mistake,
    side::{EndpointSpec, Given, Word},
    via::{ProxySpec, Scheme},
};

pub(super) static VIA: SideOption = SideOption {
    name: NAME,
    on: On::Dial,
    value: Value::Needed("SCHEME://[USER@]HOST:PORT|env"),
    help: "dial through a proxy, socks5://, http:// (CONNECT) or https://, which resolves the name; repeat for a chain; env: as $ALL_PROXY and $NO_PROXY say",
    settings: &[
        SideSetting {
            name: "password",
            value: "@FILE",
            help: "the password of the user",
            many: true,
        },
        SideSetting {
            name: "ca",
            value: "CA.pem|system",
            help: "with https://: the CAs of the proxy's certificate [default: system]",
            many: true,
        },
    ],
    does: Does::Set(set),
};

/// The name of the option, which may stand there more than once.
pub(crate) const NAME: &str = "via";

const FORM: &str = "`via=socks5://HOST:PORT`, `via=http://HOST:PORT` or `via=https://HOST:PORT`";

fn set(endpoint: &mut EndpointSpec, given: &Given<'_>) -> Result<(), Mistake> {
    let url = given.needed()?;
    if url.text == "env" {
        return of_env(endpoint, given, url);
    }
    let (scheme, user, addr) = url.parse(read)?;
    let mut passwords = given.all("password");
    let login = match (user, passwords.next()) {
        (None, None) => None,
        (Some(user), Some(file)) => {
            let user = user.to_owned();
            let (login, again) = of_file(file, move |value| login(&user, value))?;
            endpoint.on_reload.push(again);
            Some(login)
        }
        (Some(user), None) => {
            let message = format!("the user `{user}` needs a password");
            return Err(url.wrong(message, "`via.password=@FILE` behind it"));
        }
        (None, Some(file)) => {
            let message = "`via.password` is the password of no user";
            return Err(file.wrong(message, format!("`via={scheme}://USER@{addr}`")));
        }
    };
    let mut cas = given.all("ca");
    let ca = cas.next();
    if let Some(second) = passwords.next().or(cas.next()) {
        return Err(second.wrong("the setting is there twice", "once for each `via`"));
    }
    let tls = match (scheme, ca) {
        (Scheme::Https, ca) => Some(tls::of(url, ca, addr.host())?),
        (_, None) => None,
        (_, Some(ca)) => return Err(ca.wrong("`via.ca` is for TLS", "`via=https://…`")),
    };
    let proxy = ProxySpec {
        scheme,
        addr,
        login,
        tls,
    };
    if proxy.exposes_password() {
        tracing::warn!(
            via = %proxy,
            "the password is sent in the clear to another machine: https:// is encrypted"
        );
    }
    endpoint.via.push(proxy);
    Ok(())
}

/// What the environment says: a proxy, or none for this target.
fn of_env(endpoint: &mut EndpointSpec, given: &Given<'_>, url: Word<'_>) -> Result<(), Mistake> {
    if let Some(password) = given.setting("password") {
        let message = "`via.password` is of a user that the environment names";
        return Err(password.wrong(message, "the password in the variable, or `via=URL`"));
    }
    let found = url.parse(|_| via_env::proxy(endpoint))?;
    let Some((name, text, login)) = found else {
        tracing::info!("the environment names no proxy for this target");
        return Ok(());
    };
    let (scheme, _, addr) =
        read(&text).map_err(|mistake| url.place(mistake.within(format!("${name}"))))?;
    let tls = match scheme {
        Scheme::Https => Some(tls::of(url, given.setting("ca"), addr.host())?),
        _ => None,
    };
    endpoint.via.push(ProxySpec {
        scheme,
        addr,
        login: login.map(Replaceable::new),
        tls,
    });
    Ok(())
}

fn login(user: &str, value: &str) -> Result<Login, Mistake> {
    let password = secret::line(value, "via.password=@FILE")?;
    Login::new(user, password).map_err(|error| {
        let hint = "up to 255 bytes each, without a colon in the user";
        Mistake::new(error.to_string(), hint)
    })
}

/// The scheme, the user and the address of a proxy.
fn read(url: &str) -> Result<(Scheme, Option<&str>, DialAddr), Mistake> {
    let Some((name, rest)) = url.split_once("://") else {
        return Err(Mistake::new(
            format!("`{url}` is not the URL of a proxy"),
            FORM,
        ));
    };
    let scheme = match name {
        "socks5" | "socks5h" => Scheme::Socks5,
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "socks" | "socks4" | "socks4a" => {
            let message = format!("`{name}` is not spoken: SOCKS5 is");
            return Err(Mistake::new(message, "`via=socks5://HOST:PORT`"));
        }
        _ => {
            let message = format!("`{name}` is not a scheme of a proxy");
            return Err(Mistake::unknown(
                message,
                name,
                &["socks5", "http", "https"],
            ));
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, addr) = match rest.rsplit_once('@') {
        Some((user, addr)) => (Some(user), addr),
        None => (None, rest),
    };
    if let Some((user, _)) = user.and_then(|user| user.split_once(':')) {
        return Err(Mistake::new(
            "every user of this machine can read a password on the command line",
            format!("`via={scheme}://{user}@{addr},via.password=@FILE`"),
        ));
    }
    let addr = addr.parse().map_err(|error| {
        let error = Mistake::from(error);
        Mistake::new(format!("the address of the proxy: {error}"), FORM)
    })?;
    Ok((scheme, user, addr))
}

#[cfg(not(feature = "tls"))]
mod tls {
    use couplet_connector::endpoint::Host;

    use crate::{mistake::Mistake, side::Word, via::Tls};

    pub(super) fn of(url: Word<'_>, _: Option<Word<'_>>, _: &Host) -> Result<Tls, Mistake> {
        let message = "this program was built without `tls`";
        Err(url.wrong(message, "one built with `--features tls`"))
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use couplet_connector::{
        endpoint::{BoxIo, Chain, Conn, Host},
        layers::Handshake,
    };
    use couplet_protocols::tls::{
        TlsConnect, TlsConnectConfig, default_provider, roots_from_file,
        rustls::pki_types::ServerName,
    };
    use futures::{FutureExt, TryFutureExt};
    use rustls_platform_verifier::Verifier;

    use crate::{mistake::Mistake, side::Word, via::Tls};

    /// TLS with a proxy whose certificate is for this host.
    pub(super) fn of(url: Word<'_>, ca: Option<Word<'_>>, host: &Host) -> Result<Tls, Mistake> {
        let config = match ca.filter(|ca| ca.text != "system") {
            Some(ca) => ca.parse(|path| {
                let roots = roots_from_file(path);
                let roots =
                    roots.map_err(|error| wrong(&error, "a PEM file of CA certificates"))?;
                Ok(TlsConnectConfig::with_roots(roots))
            })?,
            None => url.parse(|_| {
                let verifier = Verifier::new(default_provider());
                let verifier = verifier.map_err(|error| wrong(&error, "`via.ca=CA.pem`"))?;
                Ok(TlsConnectConfig::with_verifier(Arc::new(verifier)))
            })?,
        };
        let config = config.build();
        let config = config.map_err(|error| url.place(wrong(&error, "`via.ca=CA.pem`")))?;
        let connect = TlsConnect::new(config).server_name(name(host));
        Ok(Tls(Arc::new(move |conn: Conn<BoxIo>| {
            let shaking = connect.handshake(conn);
            shaking.map_ok(Conn::boxed).err_into().boxed()
        })))
    }

    fn name(host: &Host) -> ServerName<'static> {
        match host {
            Host::Ip(ip) => (*ip).into(),
            Host::Scoped(ip, _) => (*ip).into(),
            // Certificates have no dot at the end of a name.
            Host::Name(name) => {
                ServerName::try_from(name.as_str().trim_end_matches('.').to_owned())
                    .expect("a host's name is the name of a server")
            }
            _ => unreachable!("a host is a name or an address"),
        }
    }

    fn wrong(error: &(dyn std::error::Error + 'static), hint: &str) -> Mistake {
        Mistake::new(Chain(error).to_string(), hint)
    }
}
