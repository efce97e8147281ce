//! JSON that is safe to show on a terminal.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A value as JSON on one line, without the line break, that is safe to show on a terminal.
///
/// All but printable ASCII is written as `\u` and four digits. So no control or bidirectional character
/// reaches a terminal, and every parser reads the value back.
///
/// # Panics
///
/// If the value can't be serialized, as a map whose keys are no strings. Feature `json`.
pub fn line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut line, Ascii);
    value
        .serialize(&mut serializer)
        .expect("a vector takes everything, and every key is a string");
    String::from_utf8(line).expect("it is ASCII")
}

struct Ascii;

// ===== impl Ascii =====

impl Formatter for Ascii {
    /// Called with the text that JSON itself does not escape.
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                ' '..='~' => writer.write_all(&[c as u8])?,
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_that_are_not_printable_ascii_are_escaped() {
        assert_eq!(
            line(&"a\"\\\n\x1b\x7f\u{9b}\u{202e}é🦀"),
            r#""a\"\\\n\u001b\u007f\u009b\u202e\u00e9\ud83e\udd80""#
        );
    }

    proptest! {
        #[test]
        fn escaped_text_is_read_back(text: String) {
            let line = line(&text);
            prop_assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
