//! Readers of files below /proc: see proc(5).

use std::time::Duration;

/// What `/proc/PID/stat` says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) group: u32,
    /// User and system time of all its threads, in ticks.
    pub(super) own: u64,
    /// The same of the children it has waited for.
    pub(super) children: u64,
}

/// Reads `/proc/PID/stat`.
pub(super) fn stat(text: &str) -> Option<Stat> {
    // The command's name may hold anything, parentheses too.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // The first of them is the third of the file.
    let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
    Some(Stat {
        group: u32::try_from(number(5)?).ok()?,
        own: number(14)? + number(15)?,
        children: number(16)? + number(17)?,
    })
}

/// Reads the time on a CPU from `/proc/PID/task/TID/schedstat`.
pub(super) fn schedstat(text: &str) -> Option<Duration> {
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Reads a line like `Rss:  1836 kB`, of `/proc/PID/smaps_rollup` or `/proc/PID/status`, in bytes.
pub(super) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let number = number.trim().strip_suffix("kB")?;
    Some(number.trim().parse::<u64>().ok()? * 1024)
}

/// Reads a line like `model name : …` of `/proc/cpuinfo`, or `MemTotal: …` of `/proc/meminfo`.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_any_character() {
        let text = "42 (a) b (c d) S 1 40 40 0 -1 4194560 100 200 0 0 7 11 13 17 20 0 1 0 \
                    5 6 7 18446744073709551615";
        let expected = Stat {
            group: 40,
            own: 18,
            children: 30,
        };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(stat("42 (short) S 1 40"), None);
        assert_eq!(stat(""), None);
    }

    #[test]
    fn the_time_on_a_cpu_is_the_first_number() {
        assert_eq!(
            schedstat("167361118 33515362 441\n"),
            Some(Duration::from_nanos(167_361_118))
        );
        assert_eq!(schedstat(""), None);
    }

    #[test]
    fn lines_are_found_by_their_key() {
        let text = "00400000-7fff0000 ---p 00000000 00:00 0  [rollup]\n\
                    RssFoo:  1 kB\nRss:                1836 kB\nPss:  245 kB\n";
        assert_eq!(kilobytes(text, "Rss"), Some(1836 * 1024));
        assert_eq!(kilobytes(text, "Pss"), Some(245 * 1024));
        assert_eq!(kilobytes(text, "Uss"), None);

        let text = "processor\t: 0\nmodel name\t: Some CPU @ 1: 2 GHz\n";
        assert_eq!(value(text, "model name"), Some("Some CPU @ 1: 2 GHz"));
        assert_eq!(value(text, "model"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(stat(&text).is_some());
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(kilobytes(&text, "VmRSS").unwrap() > 0);
    }
}
