//! The targets of a side that dials one of several, or checks the one it dials.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use couplet_connector::endpoint::{Balance, Check, Target, TargetAddr, TargetWatch, Targets};

use crate::{
    dialler::{AnyDial, SeveralDial},
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

    /// Dials them, each so.
    pub(crate) fn dial(&self, targets: Vec<(TargetAddr, AnyDial)>) -> AnyDial {
        let all = targets.into_iter().enumerate().map(|(at, (addr, dial))| {
            let target = Target::new(addr.to_string(), dial);
            let target = target.weight(self.weights.get(at).copied().unwrap_or(1));
            match self.is_backup.get(at) {
                Some(true) => target.backup(),
                _ => target,
            }
        });
        let mut targets = Targets::new(all)
            .balance(self.balance)
            .max_failures(self.failures)
            .retry(self.retry);
        if let Some(check) = &self.check {
            targets = targets.check(check);
        }
        // It is opened once.
        let _ = self.watch.set(targets.watch());
        AnyDial::Several(Box::new(SeveralDial::new(targets)))
    }
}
