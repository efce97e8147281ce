//! Bytes as lines of text that are safe to show anywhere.

use std::{borrow::Cow, mem, str};

use super::hex;

/// The longest line, in bytes as shown; a longer one goes on in the next.
const WIDTH: usize = 1024;

/// Shows bytes as text. Between two calls it keeps the first bytes of a character that is not complete.
#[derive(Clone, Debug)]
pub(super) struct Text {
    carried: Vec<u8>,
}

/// Lines in the making. None is empty, and each ends with a line break.
#[derive(Default)]
struct Lines {
    shown: String,
    /// Where the current line begins.
    start: usize,
}

/// Escapes a text for a line.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| show(c, &mut shown));
    shown
}

// ===== impl Text =====

impl Text {
    pub(super) const fn new() -> Self {
        Self {
            carried: Vec::new(),
        }
    }

    /// The lines that show the kept bytes and these.
    pub(super) fn lines(&mut self, bytes: &[u8]) -> String {
        let mut bytes = Cow::Borrowed(bytes);
        if !self.carried.is_empty() {
            self.carried.extend_from_slice(&bytes);
            bytes = Cow::Owned(mem::take(&mut self.carried));
        }
        let (whole, begun) = bytes.split_at(bytes.len() - begun(&bytes));
        self.carried = begun.to_vec();
        Lines::of(whole)
    }

    /// The lines that show the kept bytes alone, when no more follow.
    pub(super) fn rest(&mut self) -> String {
        Lines::of(&mem::take(&mut self.carried))
    }

    /// Drops the kept bytes, because the bytes behind them are not shown.
    pub(super) fn forget(&mut self) {
        self.carried = Vec::new();
    }
}

// ===== impl Lines =====

impl Lines {
    fn of(bytes: &[u8]) -> String {
        let mut lines = Self::default();
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                show(c, &mut lines.shown);
                lines.wrap();
                if c == '\n' {
                    lines.end();
                }
            }
            for &byte in chunk.invalid() {
                escape(byte, &mut lines.shown);
                lines.wrap();
            }
        }
        lines.end();
        lines.shown
    }

    fn wrap(&mut self) {
        if self.shown.len() - self.start >= WIDTH {
            self.end();
        }
    }

    fn end(&mut self) {
        if self.shown.len() > self.start {
            self.shown.push('\n');
            self.start = self.shown.len();
        }
    }
}

// ===== bytes and characters =====

/// The number of bytes at the end that begin a character.
fn begun(bytes: &[u8]) -> usize {
    let is_begun = |&n: &usize| {
        let tail = str::from_utf8(&bytes[bytes.len() - n..]);
        tail.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_begun).unwrap_or(0)
}

fn show(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if is_printable(c) => out.push(c),
        c => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                escape(byte, out);
            }
        }
    }
}

fn escape(byte: u8, out: &mut String) {
    out.push_str("\\x");
    out.extend(hex::digits(byte));
}

/// Whether `{:?}` of a string shows the character unescaped: letters, marks, digits, punctuation, symbols
/// and the space. Not controls, format characters (bidirectional ones too), separators, private and
/// unassigned characters.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // Behind a letter, because `{:?}` escapes a combining mark without a letter.
    let mut buf = [b'a'; 5];
    let len = c.encode_utf8(&mut buf[1..]).len();
    let text = str::from_utf8(&buf[..=len]).expect("a letter and a character are UTF-8");
    text.escape_debug().eq(['a', c])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_at_once(bytes: &[u8]) -> String {
        let mut text = Text::new();
        text.lines(bytes) + &text.rest()
    }

    #[test]
    fn lines_are_shown_as_lines() {
        assert_eq!(
            all_at_once(b"GET / HTTP/1.1\r\nHost:\tx\r\n\r\nbody"),
            "GET / HTTP/1.1\\r\\n\nHost:\\tx\\r\\n\n\\r\\n\nbody\n"
        );
        assert_eq!(all_at_once(b""), "");
    }

    #[test]
    fn printable_text_is_shown_unchanged() {
        let text = "Grüße, \"мир\" 'ก็' 世界 e\u{301} 🦀 ~";
        assert_eq!(all_at_once(text.as_bytes()), format!("{text}\n"));
    }

    #[test]
    fn other_bytes_are_escaped() {
        for (bytes, shown) in [
            (&b"\x1b[31m\0\x07\x7f"[..], r"\x1b[31m\x00\x07\x7f"),
            (br"\x1b", r"\\x1b"),
            ("\u{85}\u{9b}".as_bytes(), r"\xc2\x85\xc2\x9b"),
            ("\u{202e}\u{2066}".as_bytes(), r"\xe2\x80\xae\xe2\x81\xa6"),
            ("\u{200b}\u{feff}".as_bytes(), r"\xe2\x80\x8b\xef\xbb\xbf"),
            ("\u{2028}\u{e000}".as_bytes(), r"\xe2\x80\xa8\xee\x80\x80"),
            (b"a\xffb\xc0\x80\xed\xa0\x80", r"a\xffb\xc0\x80\xed\xa0\x80"),
            (b"\xf0\x9f\xa6", r"\xf0\x9f\xa6"),
        ] {
            assert_eq!(all_at_once(bytes), format!("{shown}\n"));
        }
    }

    #[test]
    fn a_split_character_is_shown_with_its_end() {
        let mut text = Text::new();
        assert_eq!(text.lines(b"5 \xe2"), "5 \n");
        assert_eq!(text.lines(b"\x82"), "");
        assert_eq!(text.lines(b"\xac!"), "€!\n");
        assert_eq!(text.lines(b"\xf0\x9f"), "");
        assert_eq!(text.lines(b"?"), "\\xf0\\x9f?\n", "it had no end");
        assert_eq!(text.lines(b"\xc3"), "");
        assert_eq!(text.rest(), "\\xc3\n");
        assert_eq!(text.rest(), "");
    }

    #[test]
    fn long_lines_are_wrapped_between_characters() {
        let shown = all_at_once("🦀\u{1b}".repeat(WIDTH).as_bytes());
        for line in shown.lines() {
            assert!(line.len() < WIDTH + 16);
            assert!(line.starts_with(['🦀', '\\']), "{line}");
        }
        assert_eq!(shown.replace('\n', ""), "🦀\\x1b".repeat(WIDTH));
    }

    /// Reads back what [`Lines`] shows.
    fn read_back(shown: &str) -> Vec<u8> {
        let shown = shown.replace('\n', "");
        let mut bytes = Vec::new();
        let mut rest = shown.as_bytes();
        while let Some((&first, mut after)) = rest.split_first() {
            if first == b'\\' {
                let (&kind, behind) = after.split_first().unwrap();
                after = behind;
                bytes.push(match kind {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    _ => {
                        let digits = str::from_utf8(&after[..2]).unwrap();
                        after = &after[2..];
                        u8::from_str_radix(digits, 16).unwrap()
                    }
                });
            } else {
                bytes.push(first);
            }
            rest = after;
        }
        bytes
    }

    /// Mostly text, so that characters are split often.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::sample::select(vec!['\u{9b}', '\u{202e}', '\u{200d}', '\n', '\\', '€'])
                .prop_map(|c| c.to_string().into_bytes()),
            any::<[u8; 1]>().prop_map(Vec::from),
        ];
        prop::collection::vec(piece, 0..64).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_raw_gets_out_and_nothing_is_lost(bytes in bytes(), cut in any::<prop::sample::Index>()) {
            let mut text = Text::new();
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let shown = text.lines(first) + &text.lines(second) + &text.rest();
            for c in shown.chars() {
                prop_assert!(c == '\n' || !c.is_control(), "{c:?}");
                prop_assert!(!matches!(
                    c,
                    '\u{ad}'
                        | '\u{61c}'
                        | '\u{200b}'..='\u{200f}'
                        | '\u{2028}'..='\u{202e}'
                        | '\u{2060}'..='\u{206f}'
                        | '\u{feff}'
                        | '\u{fff9}'..='\u{fffb}'
                        | '\u{e0000}'..='\u{e007f}'
                ), "{c:?}");
            }
            prop_assert_eq!(read_back(&shown), bytes);
        }
    }
}
