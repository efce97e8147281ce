//! The settings of a side's endpoint that are in effect, and where each comes from.

use std::{num::NonZeroUsize, time::Duration};

use couplet_connector::endpoint::{Address, KeepAlive};

use super::{EndpointFlags, EndpointSpec, PathSpec};
use crate::{
    layer_spec::{Setting, Source, Sourced},
    units::{Limit, PLACES},
};

/// The library's default.
const ACK_TIMEOUT: Duration = Duration::from_secs(50);

/// The library's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl EndpointSpec {
    /// What is in effect, for `explain`.
    pub(crate) fn settings(&self, flags: EndpointFlags) -> Vec<Setting> {
        let mut settings = match self.is_tcp() {
            #[cfg(feature = "quic")]
            false if self.is_quic() => {
                let keep_alive = self.sourced_quic_keep_alive(flags);
                let shown = Setting::new("keep-alive", keep_alive.value, keep_alive.from);
                [shown].into_iter().chain(self.quic.settings()).collect()
            }
            false => self.path.settings(),
            true => {
                let keep_alive = self.sourced_keep_alive(flags);
                let ack_timeout = self.sourced_ack_timeout(flags);
                let user_timeout = self.sourced_user_timeout(flags);
                vec![
                    Setting::new("keep-alive", keep_alive.value, keep_alive.from),
                    Setting::new("ack-timeout", ack_timeout.value, ack_timeout.from),
                    Setting::new("user-timeout", user_timeout.value, user_timeout.from),
                ]
            }
        };
        if self.is_dialled() && !self.is_stdio() && !self.is_exec() {
            let timeout = self.sourced_connect_timeout(flags);
            let shown = Limit::At(timeout.value);
            settings.push(Setting::new("connect-timeout", shown, timeout.from));
        }
        if let Some(source) = self.source {
            settings.push(Setting::new("source", source, Source::Side));
        }
        if let Some(most) = self.sourced_max_per_target(flags) {
            settings.push(Setting::new("max-per-target", most.value, most.from));
        }
        if let Some(keep) = self.keep {
            settings.push(Setting::new("keep", keep, Source::Side));
        }
        if self.keep_each {
            settings.push(Setting::new("each", "on", Source::Side));
        }
        if let Some(backoff) = self.keep_backoff {
            settings.push(Setting::new(
                "keep.backoff",
                Limit::At(backoff),
                Source::Side,
            ));
        }
        if let Some(routes) = &self.routes {
            settings.push(Setting::new("route", routes.current(), Source::Side));
        }
        #[cfg(feature = "dns")]
        match &self.dns {
            Some(dns) => settings.push(Setting::new("dns", dns, Source::Side)),
            None if self.is_srv() => settings.push(Setting::new("dns", "system", Source::Default)),
            None => {}
        }
        if let Some(family) = self.family {
            settings.push(Setting::new("family", family, Source::Side));
        }
        if let Some(age) = self.last_answer {
            settings.push(Setting::new("last-answer", age, Source::Side));
        }
        settings.extend_from_slice(self.targets.settings());
        for proxy in &self.via {
            settings.push(Setting::new("via", proxy, Source::Side));
        }
        if self.multipath {
            settings.push(Setting::new("mptcp", "on", Source::Side));
        }
        if self.reuse_port {
            settings.push(Setting::new("reuse-port", "on", Source::Side));
        }
        settings
    }

    pub(super) fn sourced_keep_alive(&self, flags: EndpointFlags) -> Sourced<Limit<KeepAlive>> {
        Sourced::flag(flags.keep_alive, Limit::At(KeepAlive::new())).unless(self.keep_alive)
    }

    pub(super) fn sourced_ack_timeout(&self, flags: EndpointFlags) -> Sourced<Limit<Duration>> {
        match self.multipath {
            // The system has neither over Multipath TCP.
            true => Sourced::flag(None, Limit::Off),
            false => {
                Sourced::flag(flags.ack_timeout, Limit::At(ACK_TIMEOUT)).unless(self.ack_timeout)
            }
        }
    }

    /// As of TCP, with a default of its own: it also keeps the way through NATs open, which forget UDP soon.
    #[cfg(feature = "quic")]
    pub(super) fn sourced_quic_keep_alive(
        &self,
        flags: EndpointFlags,
    ) -> Sourced<Limit<KeepAlive>> {
        const DEFAULT: KeepAlive = KeepAlive::new()
            .idle(Duration::from_secs(15))
            .interval(Duration::from_secs(5))
            .count(3);

        Sourced::flag(flags.keep_alive, Limit::At(DEFAULT)).unless(self.keep_alive)
    }

    pub(super) fn sourced_user_timeout(&self, flags: EndpointFlags) -> Sourced<Limit<Duration>> {
        match self.multipath {
            true => Sourced::flag(None, Limit::Off),
            false => Sourced::flag(flags.user_timeout, Limit::Off).unless(self.user_timeout),
        }
    }

    /// Where a side has several targets, one of them in a black hole takes no more than a quarter of the
    /// dials that run side by side, and leaves the others to the other targets.
    pub(super) fn sourced_max_per_target(&self, flags: EndpointFlags) -> Option<Sourced<usize>> {
        let has_several = self.routes.is_some() || matches!(self.address, Address::DialAsked);
        let most = flags.max_waiting.map_or(PLACES, NonZeroUsize::get);
        let quarter = Sourced::flag(None, (most / 4).max(1));
        let given = self.max_per_target.map(NonZeroUsize::get);
        (has_several || given.is_some()).then(|| quarter.unless(given))
    }

    pub(super) fn sourced_connect_timeout(&self, flags: EndpointFlags) -> Sourced<Duration> {
        Sourced::flag(flags.connect_timeout, CONNECT_TIMEOUT).unless(self.connect_timeout)
    }
}

// ===== impl PathSpec =====

impl PathSpec {
    fn settings(&self) -> Vec<Setting> {
        let mode = self.mode.map(|mode| format!("{mode:04o}"));
        let user = self.user.map(|uid| uid.to_string());
        let group = self.group.map(|gid| gid.to_string());
        let given = [("mode", mode), ("user", user), ("group", group)];
        let settings = given
            .into_iter()
            .filter_map(|(name, value)| Some(Setting::new(name, value?, Source::Side)));
        settings.collect()
    }
}
