//! Values with units, as people write them.

use std::{fmt, num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use couplet_connector::{endpoint::KeepAlive, layers::Rate};

use crate::mistake::Mistake;

/// A value, or the word that says there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit<T> {
    At(T),
    Off,
}

/// A number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threads {
    Auto,
    Count(NonZeroUsize),
}

// ===== impl Limit =====

impl<T> Limit<T> {
    pub(crate) fn get(self) -> Option<T> {
        match self {
            Self::At(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl fmt::Display for Limit<KeepAlive> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(keep_alive) => keep_alive.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl fmt::Display for Limit<Duration> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => humantime::format_duration(*time).fmt(f),
            Self::Off => f.write_str("never"),
        }
    }
}

/// A time like `500ms`, `30s`, `5m` or `1h30m`: more than nothing.
pub(crate) fn duration(text: &str) -> Result<Duration, Mistake> {
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text
            .bytes()
            .any(|byte| byte.is_ascii_digit() && byte != b'0')
    {
        return Err(Mistake::new(
            "a time needs a unit",
            format!("`{text}s`, `{text}ms` or `{text}m`"),
        ));
    }
    // A month in a crate's eyes, a minute in people's.
    if text.ends_with('M') {
        let number = text.trim_end_matches('M');
        return Err(Mistake::new(
            "`M` is not a unit of time",
            format!("`{number}m` for minutes, `{number}ms` for milliseconds, `30d` for a month"),
        ));
    }
    match humantime::parse_duration(text) {
        _ if text == "0" => Err(Mistake::new("a time must be more than 0", TIMES)),
        Ok(Duration::ZERO) => Err(Mistake::new("a time must be more than 0", TIMES)),
        Ok(time) if time > LONGEST => Err(Mistake::new(
            format!("`{text}` is too long a time"),
            "less than 100 years",
        )),
        Ok(time) => Ok(time),
        Err(_) => Err(Mistake::new(format!("`{text}` is not a time"), TIMES)),
    }
}

/// A number of bytes like `512B`, `4KiB` or `10MB`: more than nothing.
pub(crate) fn size(text: &str) -> Result<ByteSize, Mistake> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && text.bytes().any(|byte| byte != b'0') {
        return Err(Mistake::new(
            "a size needs a unit",
            format!("`{text}B`, `{text}KiB` or `{text}MiB`"),
        ));
    }
    if text.ends_with('b') {
        let bytes = text.trim_end_matches('b');
        return Err(Mistake::new(
            "sizes are in bytes, and `b` is bits",
            format!("`{bytes}B`"),
        ));
    }
    match text.parse() {
        Ok(ByteSize(0)) => Err(Mistake::new("a size must be more than 0", SIZES)),
        Ok(size) => Ok(size),
        Err(_) => Err(Mistake::new(format!("`{text}` is not a size"), SIZES)),
    }
}

const TIMES: &str = "a time is like `500ms`, `30s`, `5m` or `1h30m`";

const SIZES: &str = "a size is like `512B`, `4KiB` or `10MB`";

/// Longer ones can't be added to the clock everywhere.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A [`duration`], or `never`.
pub(crate) fn limit(text: &str) -> Result<Limit<Duration>, Mistake> {
    match text {
        "never" | "off" => Ok(Limit::Off),
        _ => duration(text)
            .map(Limit::At)
            .map_err(|mistake| mistake.or("`never`")),
    }
}

/// How long sent data may go unanswered: what the system's retransmissions can be bounded to.
pub(crate) fn ack_timeout(text: &str) -> Result<Limit<Duration>, Mistake> {
    match limit(text)? {
        Limit::At(time)
            if !(Duration::from_secs(15)..=Duration::from_secs(900)).contains(&time) =>
        {
            Err(Mistake::new(
                format!("an ack-timeout can't be `{text}`"),
                "from `15s` to `15m`, or `off` for the system's own time",
            ))
        }
        limit => Ok(limit),
    }
}

/// A [`limit`] that the system takes for its sockets: in a signed number of milliseconds.
pub(crate) fn user_timeout(text: &str) -> Result<Limit<Duration>, Mistake> {
    match limit(text)? {
        Limit::At(time) if i32::try_from(time.as_millis()).is_err() => Err(Mistake::new(
            format!("a user-timeout of `{text}` is too long"),
            "24 days at most, or `never`",
        )),
        limit => Ok(limit),
    }
}

/// `IDLE/INTERVAL/COUNT`, like `60s/10s/5`, or `off`.
pub(crate) fn keep_alive(text: &str) -> Result<Limit<KeepAlive>, Mistake> {
    const FORM: &str = "`IDLE/INTERVAL/COUNT`, like `60s/10s/5`, or `off`";
    if text == "off" {
        return Ok(Limit::Off);
    }
    let parts: Vec<_> = text.split('/').collect();
    let [idle, interval, count] = parts[..] else {
        return Err(Mistake::new(
            format!("`{text}` does not say how to probe"),
            FORM,
        ));
    };
    let seconds = |text| match duration(text)? {
        // The kernel takes whole seconds, see tcp(7).
        time if time.subsec_nanos() == 0 && time.as_secs() <= 32767 => Ok(time),
        _ => Err(Mistake::new(
            format!("`{text}` is not a time of keep-alive"),
            "whole seconds from `1s` to `32767s`",
        )),
    };
    let Ok(count @ 1..=127) = count.parse() else {
        return Err(Mistake::new(
            format!("`{count}` is not a number of keep-alive probes"),
            "a number from 1 to 127",
        ));
    };
    Ok(Limit::At(
        KeepAlive::new()
            .idle(seconds(idle)?)
            .interval(seconds(interval)?)
            .count(count),
    ))
}

/// A number of things: 1 or more.
pub(crate) fn count(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number from 1 up"), "1, or more"))
}

/// How many connections of a side may wait for a partner or for its dial, where it is not said: the
/// library's default.
pub(crate) const PLACES: usize = 1024;

/// How many connections of a pool wait: no more than there are places to.
pub(crate) fn pool(text: &str) -> Result<NonZeroUsize, Mistake> {
    match text.parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= MOST_POOLED => Ok(count),
        _ => Err(Mistake::new(
            format!("`{text}` is not a number of connections"),
            format!("a number from 1 to {MOST_POOLED}"),
        )),
    }
}

/// The library's default for those that wait on a side.
const MOST_POOLED: usize = 1024;

/// This many in a time: `10/s`, `100/m` or `20/10s`.
pub(crate) fn rate(text: &str) -> Result<Rate, Mistake> {
    let wrong = || {
        let form = "a number in a time, like `10/s`, `100/m` or `20/10s`";
        Mistake::new(format!("`{text}` is not a rate"), form)
    };
    let parts = text
        .split_once('/')
        .and_then(|(count, time)| Some((count.parse().ok()?, time)));
    let Some((count, time)) = parts else {
        return Err(wrong());
    };
    let one = matches!(time, "s" | "m" | "h").then(|| format!("1{time}"));
    let time = duration(one.as_deref().unwrap_or(time)).map_err(|mistake| {
        match time.starts_with(|c: char| c.is_ascii_digit()) {
            true => mistake,
            false => wrong(),
        }
    })?;
    let rate = Rate::new(count, time);
    if rate.time() < time {
        return Err(Mistake::new(
            "the time of a rate is too long",
            "a year at most",
        ));
    }
    Ok(rate)
}

/// A number of threads, or `auto`.
pub(crate) fn threads(text: &str) -> Result<Threads, Mistake> {
    match text.parse::<NonZeroUsize>() {
        _ if text == "auto" => Ok(Threads::Auto),
        Ok(count) if count.get() <= MOST_THREADS => Ok(Threads::Count(count)),
        _ => Err(Mistake::new(
            format!("`{text}` is not a number of threads"),
            format!("`auto`, or a number from 1 to {MOST_THREADS}"),
        )),
    }
}

/// More threads than any machine has cores.
const MOST_THREADS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("30").unwrap_err().to_string().contains("`30s`"));
        for wrong in ["", "s", "0s", "-1s", "never", "200y", "1.5", "1M", "1h5M"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(limit("never"), Ok(Limit::Off));
        assert_eq!(limit("2m"), Ok(Limit::At(Duration::from_secs(120))));
        assert!(limit("2").unwrap_err().to_string().contains("never"));
        assert_eq!(ack_timeout("off"), Ok(Limit::Off));
        assert!(ack_timeout("15s").is_ok() && ack_timeout("15m").is_ok());
        assert!(ack_timeout("14s").is_err() && ack_timeout("16m").is_err());
        assert_eq!(user_timeout("never"), Ok(Limit::Off));
        assert!(user_timeout("24d").is_ok());
        assert!(
            user_timeout("25d")
                .unwrap_err()
                .to_string()
                .contains("user-timeout")
        );
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512B"), Ok(ByteSize::b(512)));
        assert_eq!(size("4KiB"), Ok(ByteSize::kib(4)));
        assert_eq!(size("10MB"), Ok(ByteSize::mb(10)));
        assert!(size("30").unwrap_err().to_string().contains("`30KiB`"));
        assert!(size("30Mb").unwrap_err().to_string().contains("bits"));
        for wrong in ["", "B", "0B", "-1KiB", "4 bananas", "never"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_a_number_per_time() {
        let of = |count: u32, seconds| {
            let count = count.try_into().unwrap();
            Ok(Rate::new(count, Duration::from_secs(seconds)))
        };
        assert_eq!(rate("10/s"), of(10, 1));
        assert_eq!(rate("100/m"), of(100, 60));
        assert_eq!(rate("1/h"), of(1, 3600));
        assert_eq!(rate("20/10s"), of(20, 10));
        for wrong in [
            "",
            "10",
            "/s",
            "0/s",
            "10/",
            "-1/s",
            "10/fortnight",
            "10/0s",
            "10/2y",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert!(rate("10/30").unwrap_err().to_string().contains("`30s`"));
    }

    #[test]
    fn threads_are_counted() {
        assert_eq!(threads("auto"), Ok(Threads::Auto));
        let two = NonZeroUsize::new(2).unwrap();
        assert_eq!(threads("2"), Ok(Threads::Count(two)));
        for wrong in ["0", "-1", "many", "1025", ""] {
            assert!(threads(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pool_is_bounded() {
        assert!(pool("1").is_ok() && pool("1024").is_ok());
        for wrong in ["0", "1025", "4294967295", "all"] {
            assert!(
                pool(wrong).unwrap_err().to_string().contains("1024"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn keep_alive_has_three_parts() {
        let probes = KeepAlive::new()
            .idle(Duration::from_secs(30))
            .interval(Duration::from_secs(5))
            .count(4);
        assert_eq!(keep_alive("30s/5s/4"), Ok(Limit::At(probes)));
        assert_eq!(keep_alive("off"), Ok(Limit::Off));
        for wrong in [
            "30s",
            "30s/5s",
            "30/5/4",
            "500ms/5s/4",
            "30s/5s/0",
            "30s/5s/128",
            "10h/1s/1",
        ] {
            assert!(keep_alive(wrong).is_err(), "{wrong}");
        }
    }
}
