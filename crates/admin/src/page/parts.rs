//! Texts in HTML, and quantities as people read them.

use std::{fmt, time::Duration};

/// A text that may hold anything, in HTML: in an element or in a quoted attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

// ===== impl Escaped =====

impl<'a> Escaped<'a> {
    /// A path without its last slash, unless the slash is all.
    pub(super) fn without_slash(&self) -> Self {
        match self.0.trim_end_matches('/') {
            "" => Escaped("/"),
            path => Escaped(path),
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // They would turn the text around (U+202E and its kin), or do worse on a terminal.
                c if c.is_control() || is_invisible(c) => write!(f, "{}", c.escape_unicode())?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `12.5 MiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes;
    let mut unit = 0;
    // What is shown rounded up would be `1024`.
    while amount >= 1023.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{amount:.0} B"),
        _ if amount < 99.95 => format!("{amount:.1} {}", UNITS[unit]),
        _ => format!("{amount:.0} {}", UNITS[unit]),
    }
}

/// `2h 5m`, `3m 4s`, `1.2s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `12ms`, for what is mostly short.
pub(crate) fn short(time: Duration) -> String {
    match time.as_millis() {
        0 => "<1ms".to_owned(),
        millis @ 1..1000 => format!("{millis}ms"),
        _ => duration(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_peer_says_is_html() {
        let evil = "<img src=x onerror=\"alert('1')\">&\u{202e}\u{1b}[31m\n";
        let shown = Escaped(evil).to_string();
        assert_eq!(
            shown,
            "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;\\u{202e}\\u{1b}[31m\\u{a}"
        );
    }

    #[test]
    fn quantities() {
        for (given, shown) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1024.0, "1.0 KiB"),
            (1_048_575.0, "1.0 MiB"),
            (150.0 * 1024.0, "150 KiB"),
            (5e15, "4547 TiB"),
        ] {
            assert_eq!(bytes(given), shown);
        }
        for (millis, shown) in [
            (1234, "1.2s"),
            (59_000, "59s"),
            (61_000, "1m 1s"),
            (7_500_000, "2h 5m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), shown);
        }
        for (micros, shown) in [
            (999, "<1ms"),
            (1000, "1ms"),
            (999_999, "999ms"),
            (1_234_000, "1.2s"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), shown);
        }
    }
}
