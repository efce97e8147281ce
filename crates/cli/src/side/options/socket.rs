//! The options of a side's endpoint and its sockets.

use super::{Does, On, SideOption, SideSetting, Value};
use crate::{
    mistake::Mistake,
    units::{ack_timeout, count, duration, keep_alive, pool, user_timeout},
};

pub(super) static KEEP_ALIVE: SideOption = SideOption {
    name: "keep-alive",
    on: On::Either,
    value: Value::Needed("IDLE/INTERVAL/COUNT|off"),
    help: "as --keep-alive, for this side",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.keep_alive = Some(given.needed()?.parse(keep_alive)?);
        Ok(())
    }),
};

pub(super) static ACK_TIMEOUT: SideOption = SideOption {
    name: "ack-timeout",
    on: On::Either,
    value: Value::Needed("TIME|off"),
    help: "as --ack-timeout, for this side",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.ack_timeout = Some(given.needed()?.parse(ack_timeout)?);
        Ok(())
    }),
};

pub(super) static USER_TIMEOUT: SideOption = SideOption {
    name: "user-timeout",
    on: On::Either,
    value: Value::Needed("TIME|off"),
    help: "as --user-timeout, for this side",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.user_timeout = Some(given.needed()?.parse(user_timeout)?);
        Ok(())
    }),
};

pub(super) static REUSE_PORT: SideOption = SideOption {
    name: "reuse-port",
    on: On::Listen,
    value: Value::None,
    help: "share the port with other processes that set it (SO_REUSEPORT)",
    settings: &[],
    does: Does::Set(|endpoint, _| {
        endpoint.reuse_port = true;
        Ok(())
    }),
};

pub(super) static MPTCP: SideOption = SideOption {
    name: "mptcp",
    on: On::Either,
    value: Value::None,
    help: "Multipath TCP, with peers that have it: several paths at once, or one after the other",
    settings: &[],
    does: Does::Set(|endpoint, _| {
        endpoint.multipath = true;
        Ok(())
    }),
};

pub(super) static CONNECT_TIMEOUT: SideOption = SideOption {
    name: "connect-timeout",
    on: On::Dial,
    value: Value::Needed("TIME"),
    help: "as --connect-timeout, for this side",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.connect_timeout = Some(given.needed()?.parse(duration)?);
        Ok(())
    }),
};

pub(super) static SOURCE: SideOption = SideOption {
    name: "source",
    on: On::Dial,
    value: Value::Needed("IP"),
    help: "the address to dial from",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.source = Some(given.needed()?.parse(|text| {
            text.parse().map_err(|_| {
                Mistake::new(
                    format!("`{text}` is not an IP address"),
                    "an address of this machine, like `192.0.2.1`",
                )
            })
        })?);
        Ok(())
    }),
};

pub(super) static MAX_PER_TARGET: SideOption = SideOption {
    name: "max-per-target",
    on: On::Dial,
    value: Value::Needed("NUMBER"),
    help: "at most NUMBER dials of one address under way [default: a quarter of --max-waiting where there are several]",
    settings: &[],
    does: Does::Set(|endpoint, given| {
        endpoint.max_per_target = Some(given.needed()?.parse(count)?);
        Ok(())
    }),
};

pub(super) static KEEP: SideOption = SideOption {
    name: "keep",
    on: On::Dial,
    value: Value::Needed("NUMBER"),
    help: "keep this many connections waiting for a partner; dial again as they are used",
    settings: &[SideSetting {
        name: "backoff",
        value: "TIME",
        help: "the longest pause before dialling again [default: 3s, and 60s where the peer closes]",
        many: false,
    }],
    does: Does::Set(|endpoint, given| {
        endpoint.keep = Some(given.needed()?.parse(pool)?);
        let backoff = given.setting("backoff");
        endpoint.keep_backoff = backoff.map(|backoff| backoff.parse(duration)).transpose()?;
        Ok(())
    }),
};

pub(super) static EACH: SideOption = SideOption {
    name: "each",
    on: On::Dial,
    value: Value::None,
    help: "a pool of `keep` connections at every address of the name, which is looked up again",
    settings: &[],
    does: Does::Set(|endpoint, _| {
        endpoint.keep_each = true;
        Ok(())
    }),
};
