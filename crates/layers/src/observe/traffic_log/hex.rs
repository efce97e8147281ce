//! Bytes as rows of sixteen, in the manner of `socat -x -v`.

use std::fmt::Write;

/// The bytes of a row.
const ROW: usize = 16;

/// A header, `length=18 from=0 to=17`, for `length` bytes from the stream's byte `offset` on, and the
/// rows that show `bytes`, which may be fewer after redaction. Each line ends with a line break.
pub(super) fn lines(offset: u64, length: usize, bytes: &[u8]) -> String {
    let rows = bytes.len().div_ceil(ROW);
    let mut lines = String::with_capacity(64 + rows * 80);
    let to = (offset + length as u64).saturating_sub(1);
    let _ = writeln!(lines, "length={length} from={offset} to={to}");
    for (row, at) in bytes.chunks(ROW).zip((offset..).step_by(ROW)) {
        let _ = write!(lines, "{at:08x} ");
        for i in 0..ROW {
            if i == ROW / 2 {
                lines.push(' ');
            }
            lines.push(' ');
            lines.extend(row.get(i).map_or([' ', ' '], |&byte| digits(byte)));
        }
        lines.push_str("  |");
        lines.extend(row.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        }));
        lines.push_str("|\n");
    }
    lines
}

/// A byte's two digits.
pub(super) fn digits(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_sixteen() {
        assert_eq!(
            lines(35, 18, b"GET / HTTP/1.1\r\n\xff\x1b"),
            "length=18 from=35 to=52\n\
             00000023  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n\
             00000033  ff 1b                                             |..|\n"
        );
    }

    #[test]
    fn offsets_grow_beyond_eight_digits() {
        let shown = lines(u64::from(u32::MAX), 17, b"0123456789abcdefg");
        assert!(shown.starts_with("length=17 from=4294967295 to=4294967311\nffffffff  30"));
        assert!(shown.contains("\n10000000f  67 "));
    }

    proptest! {
        #[test]
        fn only_printable_ascii_gets_out(bytes: Vec<u8>, offset: u32) {
            let shown = lines(offset.into(), bytes.len(), &bytes);
            prop_assert!(shown.chars().all(|c| matches!(c, ' '..='~' | '\n')));
        }
    }
}
