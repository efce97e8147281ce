use std::{fmt, fs, thread};

use super::proc_stat::{kilobytes, value};

/// What the figures were measured on.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory: u64,
    kernel: String,
}

// ===== impl Machine =====

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name")
                .unwrap_or("an unknown CPU")
                .to_owned(),
            cores: thread::available_parallelism().map_or(1, Into::into),
            memory: kilobytes(&read("/proc/meminfo"), "MemTotal").unwrap_or(0),
            kernel: release(&read("/proc/sys/kernel/osrelease")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory.div_ceil(1 << 30);
        write!(
            f,
            "{}, {} cores, {gib} GiB, Linux {}",
            self.cpu, self.cores, self.kernel
        )
    }
}

/// The version alone: what a distributor or host adds to it names nothing that matters.
fn release(text: &str) -> String {
    text.trim()
        .chars()
        .take_while(|char| char.is_ascii_digit() || *char == '.')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_the_version_alone() {
        assert_eq!(release("6.18.44-some-host\n"), "6.18.44");
    }

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory > 0);
        assert!(machine.to_string().contains("Linux"));
    }
}
