//! Finds the end of a header.

/// The longest header, with its additions.
pub(super) const MAX_HEADER: usize = 4096;

/// The longest header of version 1, with its line feed.
const MAX_V1: usize = 107;

const V1: &[u8] = b"PROXY ";
pub(super) const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Not a header.
    None,
    /// A part of a signature.
    Perhaps,
    /// A signature, and a part of its header.
    Partial,
    /// A header of this many bytes.
    Whole(usize),
    /// The beginning of a header that is too long.
    TooLong,
}

/// Looks at the first bytes of a stream.
pub(super) fn frame(bytes: &[u8]) -> Frame {
    if bytes.starts_with(V1) {
        let line = &bytes[..bytes.len().min(MAX_V1)];
        match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => Frame::Whole(end + 1),
            None if line.len() == MAX_V1 => Frame::TooLong,
            None => Frame::Partial,
        }
    } else if bytes.starts_with(V2) {
        // Version and command, family and protocol, then the length of the rest.
        let Some(&[high, low]) = bytes.get(V2.len() + 2..V2.len() + 4) else {
            return Frame::Partial;
        };
        let len = V2.len() + 4 + usize::from(u16::from_be_bytes([high, low]));
        match len {
            _ if len > MAX_HEADER => Frame::TooLong,
            _ if len > bytes.len() => Frame::Partial,
            _ => Frame::Whole(len),
        }
    } else if V1.starts_with(bytes) || V2.starts_with(bytes) {
        Frame::Perhaps
    } else {
        Frame::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_begins_with_its_signature() {
        for signature in [V1, V2] {
            for cut in 0..signature.len() {
                assert_eq!(frame(&signature[..cut]), Frame::Perhaps);
                let mut other = signature[..=cut].to_vec();
                other[cut] ^= 1;
                assert_eq!(frame(&other), Frame::None);
            }
            assert_eq!(frame(signature), Frame::Partial);
        }
    }

    #[test]
    fn a_line_longer_than_the_longest_is_refused() {
        let mut line = [&b"PROXY UNKNOWN "[..], &[b'x'; 91], b"\r\n"].concat();
        assert_eq!(frame(&line), Frame::Whole(107));
        line.insert(50, b'x');
        assert_eq!(frame(&line), Frame::TooLong);
        assert_eq!(frame(&line[..107]), Frame::TooLong);
        assert_eq!(frame(&line[..106]), Frame::Partial);
    }

    #[test]
    fn a_version_2_header_longer_than_the_longest_is_refused() {
        let header = |len: u16| [V2, b"\x20\0", &len.to_be_bytes(), &[0; 8192]].concat();
        assert_eq!(frame(&header(4080)), Frame::Whole(4096));
        assert_eq!(frame(&header(4080)[..4095]), Frame::Partial);
        assert_eq!(frame(&header(4081)), Frame::TooLong);
        assert_eq!(frame(&header(4081)[..16]), Frame::TooLong);
        assert_eq!(frame(&header(u16::MAX)), Frame::TooLong);
    }
}
