//! One string is one side: its endpoint, then its options.

use std::{fs, net::IpAddr, ops::Range, str::FromStr, time::Duration};

use couplet_connector::{
    endpoint::{
        Address, AddressError, BindError, Dial, DialAddr, KeepAlive, Listen, ListenAddr,
        SocketOptions,
    },
    layers::Token,
};

use crate::units::{Limit, duration, keep_alive, limit};

const OPTIONS: &str = "keep-alive, user-timeout, token; on listen: reuse-port; on dial: \
                       connect-timeout, source";

/// What a side is to be.
#[derive(Clone, Debug)]
pub(crate) struct SideSpec {
    pub(crate) endpoint: EndpointSpec,
    pub(crate) keep_alive: Option<Limit<KeepAlive>>,
    pub(crate) user_timeout: Option<Limit<Duration>>,
    pub(crate) token: Option<Token>,
}

#[derive(Clone, Debug)]
pub(crate) enum EndpointSpec {
    Listen {
        addr: ListenAddr,
        reuse_port: bool,
    },
    Dial {
        addr: DialAddr,
        connect_timeout: Option<Duration>,
        source: Option<IpAddr>,
    },
}

/// One `name=value` of a side.
#[derive(Debug)]
struct SideOption<'a> {
    input: &'a str,
    name: &'a str,
    value: Option<&'a str>,
    at: usize,
}

// ===== impl SideSpec =====

impl SideSpec {
    /// Takes what the flags say wherever the side itself says nothing.
    pub(crate) fn inherit(
        &mut self,
        keep_alive: Option<Limit<KeepAlive>>,
        user_timeout: Option<Limit<Duration>>,
        connect_timeout: Option<Duration>,
    ) {
        self.keep_alive = self.keep_alive.or(keep_alive);
        self.user_timeout = self.user_timeout.or(user_timeout);
        if let EndpointSpec::Dial {
            connect_timeout: own,
            ..
        } = &mut self.endpoint
        {
            *own = own.or(connect_timeout);
        }
    }

    fn socket(&self) -> SocketOptions {
        let mut options = SocketOptions::new();
        if let Some(keep_alive) = self.keep_alive {
            options = options.keep_alive(keep_alive.get());
        }
        if let Some(timeout) = self.user_timeout {
            options = options.user_timeout(timeout.get());
        }
        options
    }

    fn set(&mut self, option: &SideOption<'_>) -> Result<(), AddressError> {
        match option.name {
            "keep-alive" => option.set(&mut self.keep_alive, keep_alive),
            "user-timeout" => option.set(&mut self.user_timeout, limit),
            "token" => option.set(&mut self.token, token),
            name => match (&mut self.endpoint, name) {
                (EndpointSpec::Listen { reuse_port, .. }, "reuse-port") => {
                    option.set_flag(reuse_port)
                }
                (
                    EndpointSpec::Dial {
                        connect_timeout, ..
                    },
                    "connect-timeout",
                ) => option.set(connect_timeout, duration),
                (EndpointSpec::Dial { source, .. }, "source") => option.set(source, |text| {
                    text.parse()
                        .map_err(|_| format!("`{text}` is not an IP address"))
                }),
                (_, "reuse-port") => Err(option.wrong_name("is for a listening side")),
                (_, "connect-timeout" | "source") => {
                    Err(option.wrong_name("is for a dialled side"))
                }
                _ => Err(option.wrong_name("is not an option of a side")),
            },
        }
    }
}

impl FromStr for SideSpec {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        let (address, _) = input.split_once(',').unwrap_or((input, ""));
        let mut side = Self {
            endpoint: match address.parse()? {
                Address::Listen(addr) => EndpointSpec::Listen {
                    addr,
                    reuse_port: false,
                },
                Address::Dial(addr) => EndpointSpec::Dial {
                    addr,
                    connect_timeout: None,
                    source: None,
                },
            },
            keep_alive: None,
            user_timeout: None,
            token: None,
        };
        let mut at = address.len();
        while at < input.len() {
            at += 1; // the comma
            let text = input[at..].split(',').next().unwrap_or_default();
            side.set(&SideOption::new(input, at, text))?;
            at += text.len();
        }
        Ok(side)
    }
}

// ===== impl SideOption =====

impl<'a> SideOption<'a> {
    fn new(input: &'a str, at: usize, text: &'a str) -> Self {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        Self {
            input,
            name,
            value,
            at,
        }
    }

    fn set<T>(
        &self,
        place: &mut Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<(), AddressError> {
        if place.is_some() {
            return Err(self.twice());
        }
        let Some(value) = self.value else {
            let hint = format!("`{}=…`", self.name);
            return Err(self.wrong(self.name_span(), "it needs a value", &hint));
        };
        let start = self.at + self.name.len() + 1;
        *place = Some(parse(value).map_err(|wrong| {
            let (message, hint) = wrong.split_once(": ").unwrap_or((&wrong, "see --help"));
            self.wrong(start..start + value.len(), message, hint)
        })?);
        Ok(())
    }

    fn set_flag(&self, flag: &mut bool) -> Result<(), AddressError> {
        if *flag {
            return Err(self.twice());
        }
        if let Some(value) = self.value {
            let start = self.at + self.name.len();
            let span = start..start + 1 + value.len();
            return Err(self.wrong(span, "it takes no value", &format!("`{}`", self.name)));
        }
        *flag = true;
        Ok(())
    }

    fn twice(&self) -> AddressError {
        self.wrong(self.name_span(), "it is there twice", "once")
    }

    fn wrong_name(&self, why: &str) -> AddressError {
        self.wrong(self.name_span(), &format!("`{}` {why}", self.name), OPTIONS)
    }

    fn name_span(&self) -> Range<usize> {
        self.at..self.at + self.name.len()
    }

    fn wrong(&self, span: Range<usize>, message: &str, hint: &str) -> AddressError {
        AddressError::of(self.input, span, message, hint)
    }
}

/// The first line of a file.
fn token(value: &str) -> Result<Token, String> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(
            "a secret on the command line can be read by everybody on this machine: \
             write it to a file, and `token=@FILE`"
                .into(),
        );
    };
    let text = fs::read(path).map_err(|error| format!("`{path}` can't be read: {error}"))?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Token::new(line).map_err(|error| format!("`{path}` is no token: {error}"))
}

// ===== the endpoints =====

/// A side that is ready to be joined.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Listen(Listen),
    Dial(Dial),
}

impl SideSpec {
    /// Listens, or gets ready to dial.
    pub(crate) async fn open(&self) -> Result<Endpoint, BindError> {
        match &self.endpoint {
            EndpointSpec::Listen { addr, reuse_port } => Listen::options()
                .reuse_port(*reuse_port)
                .socket(self.socket())
                .bind(addr.clone())
                .await
                .map(Endpoint::Listen),
            EndpointSpec::Dial {
                addr,
                connect_timeout,
                source,
            } => {
                let mut dial = Dial::new(addr.clone())
                    .socket(self.socket())
                    .source(*source);
                if let Some(timeout) = connect_timeout {
                    dial = dial.connect_timeout(*timeout);
                }
                Ok(Endpoint::Dial(dial))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(input: &str) -> String {
        let error = input.parse::<SideSpec>().unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn options_follow_the_address() {
        let side: SideSpec = "dial:[::1]:22,source=::2,connect-timeout=3s,keep-alive=off"
            .parse()
            .unwrap();
        let EndpointSpec::Dial {
            addr,
            connect_timeout,
            source,
        } = side.endpoint
        else {
            panic!("it is dialled");
        };
        assert_eq!(addr.to_string(), "[::1]:22");
        assert_eq!(connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(source, Some("::2".parse().unwrap()));
        assert_eq!(side.keep_alive, Some(Limit::Off));
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        assert_eq!(
            wrong("listen:9000,reuse-prot"),
            format!(
                "`reuse-prot` is not an option of a side: {OPTIONS}\n  \
                 listen:9000,reuse-prot\n              ^^^^^^^^^^"
            )
        );
        assert_eq!(
            wrong("listen:9000,user-timeout=30"),
            "a time needs a unit: `30s`, `30ms`, `30m`; or `never`\n  \
             listen:9000,user-timeout=30\n                           ^^"
        );
    }

    #[test]
    fn mistakes_are_told_apart() {
        for (input, part) in [
            ("listen:9000,", "not an option"),
            ("listen:9000,keep-alive", "needs a value"),
            ("listen:9000,reuse-port=yes", "takes no value"),
            ("listen:9000,reuse-port,reuse-port", "twice"),
            ("listen:9000,keep-alive=off,keep-alive=off", "twice"),
            ("listen:9000,connect-timeout=1s", "dialled side"),
            ("dial:h:1,reuse-port", "listening side"),
            ("dial:h:1,source=here", "not an IP address"),
            ("listen:9000,token=secret", "token=@FILE"),
            ("listen:9000,token=@/nowhere", "can't be read"),
            ("listen:9000,\u{1b}[2J", "\\u{1b}"),
        ] {
            let error = wrong(input);
            assert!(error.contains(part), "{input}: {error}");
            assert!(!error.contains('\u{1b}'));
        }
    }
}
