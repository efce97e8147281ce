//! The targets of a side that dials one of several, or checks the one it dials.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use couplet_connector::{
    Side, SideLayers,
    endpoint::{Balance, Check, Target, TargetAddr, TargetWatch, Targets},
};

use crate::{
    dialler::{AnyDial, SeveralDial, ShakenDial},
    layer_spec::{Setting, Source},
};

/// What the options say of targets.
#[derive(Clone, Debug)]
pub(crate) struct TargetsSpec {
    pub(crate) balance: Balance,
    /// Of each, in their order; of 1 where there are none.
    pub(crate) weights: Vec<u32>,
    pub(crate) is_backup: Vec<bool>,
    pub(crate) failures: u32,
    pub(crate) retry: Duration,
    pub(crate) check: Option<Check>,
    /// Checks go through these layers, too.
    pub(crate) stack: Option<SideLayers>,
    /// While all are down the port of the other side is closed.
    pub(crate) closes: bool,
    /// As they were given, for `explain`.
    said: Vec<Setting>,
    /// How they do, once they are dialled.
    watch: Arc<OnceLock<TargetWatch>>,
}

// ===== impl TargetsSpec =====

impl Default for TargetsSpec {
    fn default() -> Self {
        Self {
            balance: Balance::Failover,
            weights: Vec::new(),
            is_backup: Vec::new(),
            failures: 3,
            retry: Duration::ZERO,
            check: None,
            stack: None,
            closes: false,
            said: Vec::new(),
            watch: Arc::default(),
        }
    }
}

impl TargetsSpec {
    pub(crate) fn say(&mut self, name: &'static str, value: impl fmt::Display) {
        self.said.push(Setting::new(name, value, Source::Side));
    }

    pub(crate) fn settings(&self) -> &[Setting] {
        &self.said
    }

    #[cfg(feature = "admin")]
    /// How the targets do, where there is a choice of them or a check.
    pub(crate) fn watch(&self) -> Option<&TargetWatch> {
        self.watch.get()
    }

    /// Those that close the port of the other side while they are down, once they are dialled.
    #[cfg(target_os = "linux")]
    pub(crate) fn closes_port(&self) -> Option<&TargetWatch> {
        self.watch.get().filter(|_| self.closes)
    }

    /// Dials them, each so.
    pub(crate) fn dial(&self, targets: Vec<(TargetAddr, AnyDial)>) -> AnyDial {
        let all = targets.into_iter().enumerate().map(|(at, (addr, dial))| {
            let target = self.target(&addr, dial);
            let target = target.weight(self.weights.get(at).copied().unwrap_or(1));
            match self.is_backup.get(at) {
                Some(true) => target.backup(),
                _ => target,
            }
        });
        let targets = self.of(Targets::new(all));
        // It is opened once.
        let _ = self.watch.set(targets.watch());
        AnyDial::Several(Box::new(SeveralDial::new(targets)))
    }

    /// The same of other targets than the side's own, which have no weights.
    pub(crate) fn dial_equals(&self, targets: Vec<(TargetAddr, AnyDial)>) -> AnyDial {
        let targets = targets.into_iter();
        let all = targets.map(|(addr, dial)| self.target(&addr, dial));
        AnyDial::Several(Box::new(SeveralDial::new(self.of(Targets::new(all)))))
    }

    fn target(&self, addr: &TargetAddr, dial: AnyDial) -> Target<AnyDial> {
        let target = Target::new(addr.to_string(), dial.clone());
        match &self.stack {
            Some(layers) => target.checked_by(AnyDial::Shaken(Box::new(ShakenDial {
                dial,
                handshake: layers.handshake(Side::B),
            }))),
            None => target,
        }
    }

    fn of(&self, targets: Targets<AnyDial>) -> Targets<AnyDial> {
        let targets = targets
            .balance(self.balance)
            .max_failures(self.failures)
            .retry(self.retry);
        match &self.check {
            Some(check) => targets.check(check),
            None => targets,
        }
    }
}
