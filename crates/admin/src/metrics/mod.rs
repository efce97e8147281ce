//! Metrics for Prometheus.
//!
//! A label is a name or a target of the configuration, or one of a closed set, never a client's address, an
//! identity, a key or a server name. A relay's series are there, at 0, from when it is added, so that `rate()` sees the first
//! event. [`text`] serves them; docs/metrics.md explains each family.

mod carriers;
mod config;
mod families;
mod family;
mod format;
mod meeting;
mod process;
mod selection;
mod stack;

pub use self::{format::Format, selection::Selection};

#[cfg(target_os = "linux")]
pub(crate) use self::process::open_fds;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use self::{family::Family, process::Process};
use crate::{Admin, Relay};

/// The selected metrics as text.
///
/// ```
/// use couplet_admin::{Admin, metrics::{Format, Selection, text}};
///
/// let text = text(&Admin::new(), Format::Text, &Selection::default());
/// assert!(text.contains("# TYPE couplet_build_info gauge"));
/// ```
pub fn text(admin: &Admin, format: Format, selection: &Selection) -> String {
    let relays = admin.relays().into_iter();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        version: admin.shown_version(),
        relays: relays
            .filter(|relay| selection.has_relay(relay.name()))
            .collect(),
        process: selection.is_whole().then(|| Process::now(admin)),
        selection: selection.clone(),
    }));
    let mut text = String::with_capacity(64 * 1024);
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    format.of_openmetrics(text)
}

/// Whether there is a family of this name, served now or not.
pub fn is_family(name: &str) -> bool {
    let of_relays = of_relays().map(|family| family.name);
    let of_process = of_process().map(|family| family.name);
    name == BUILD || of_relays.chain(of_process).any(|known| known == name)
}

const BUILD: &str = "couplet_build_info";

fn of_process() -> impl Iterator<Item = &'static Family<Process>> {
    process::FAMILIES.iter().chain(config::FAMILIES)
}

fn of_relays() -> impl Iterator<Item = &'static Family> {
    let every = families::FAMILIES.iter().chain(stack::FAMILIES);
    every.chain(carriers::FAMILIES).chain(meeting::FAMILIES)
}

/// How it stands at one moment.
struct Scrape {
    version: String,
    relays: Vec<Arc<Relay>>,
    process: Option<Process>,
    selection: Selection,
}

// ===== impl Scrape =====

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let is_asked_for = |name| self.selection.has(name);
        if let Some(process) = &self.process {
            if is_asked_for(BUILD) {
                let labels = [("version", self.version.as_str())];
                encoder
                    .encode_descriptor(
                        "couplet_build",
                        "The version of the program",
                        None,
                        MetricType::Info,
                    )?
                    .encode_info(&labels)?;
            }
            for family in of_process().filter(|family| is_asked_for(family.name)) {
                family.encode(&mut encoder, &[(None, process)])?;
            }
        }
        let relays = self.relays.iter();
        let relays: Vec<_> = relays
            .map(|relay| (Some(("relay", relay.name())), &**relay))
            .collect();
        for family in of_relays().filter(|family| is_asked_for(family.name)) {
            family.encode(&mut encoder, &relays)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape")
            .field("relays", &self.relays)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}
