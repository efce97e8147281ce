//! Reads PEM (RFC 7468): each block is understood, or an error that says on which line.
//!
//! White space counts nowhere, so that blocks without line breaks, joined or indented blocks and a
//! byte order mark are all read. An error shows nothing of the file's: it may be a private key.

use base64::{Engine, prelude::BASE64_STANDARD};
use thiserror::Error;

const DASHES: &[u8] = b"-----";

/// A block of a PEM file.
pub(super) struct Block {
    pub(super) label: Label,
    /// Of its first line, counted from 1.
    pub(super) line: usize,
    pub(super) der: Vec<u8>,
}

/// What a block says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Certificate,
    /// PKCS#8.
    Key,
    /// PKCS#1.
    RsaKey,
    /// SEC1.
    EcKey,
    EncryptedKey,
    /// The parameters that OpenSSL writes before a key, which says them again.
    Parameters,
    /// Something else that has a name.
    Other(&'static str),
    Unknown,
}

/// A PEM file can't be understood.
///
/// Nothing of the file's content is shown: it may be a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {wrong}")]
pub struct PemError {
    line: usize,
    wrong: Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum Wrong {
    #[error("malformed marker, `-----BEGIN …-----` and `-----END …-----` have five dashes each")]
    Marker,
    #[error("block without its END, `-----END …-----` with the same words as its BEGIN")]
    NoEnd,
    #[error("END without a BEGIN, the block's first line is missing")]
    NoBegin,
    #[error("`\\` in the base64: line breaks must be line breaks, not `\\n`")]
    Backslash,
    #[error("invalid character in the base64")]
    Character,
    #[error("incomplete base64, a part of the block is missing")]
    Base64,
    #[error("{0}, which has no place here")]
    Kind(&'static str),
    #[error("block of an unknown kind")]
    Unknown,
    #[error("second private key: a file holds one")]
    SecondKey,
}

// ===== impl PemError =====

impl PemError {
    const fn new(line: usize, wrong: Wrong) -> Self {
        Self { line, wrong }
    }

    /// The line, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    pub(super) const fn second_key(line: usize) -> Self {
        Self::new(line, Wrong::SecondKey)
    }
}

// ===== impl Block =====

impl Block {
    /// This block has no place in the file.
    pub(super) const fn misplaced(&self) -> PemError {
        let wrong = match self.label {
            Label::Other(kind) => Wrong::Kind(kind),
            _ => Wrong::Unknown,
        };
        PemError::new(self.line, wrong)
    }
}

// ===== impl Label =====

impl Label {
    fn of(words: &[u8]) -> Self {
        match words {
            b"CERTIFICATE" | b"X509 CERTIFICATE" | b"X.509 CERTIFICATE" => Self::Certificate,
            b"PRIVATE KEY" => Self::Key,
            b"RSA PRIVATE KEY" => Self::RsaKey,
            b"EC PRIVATE KEY" => Self::EcKey,
            b"ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            b"EC PARAMETERS" | b"DH PARAMETERS" | b"X9.42 DH PARAMETERS" => Self::Parameters,
            b"TRUSTED CERTIFICATE" => Self::Other(
                "a TRUSTED CERTIFICATE of OpenSSL's own (convert it with `openssl x509`)",
            ),
            b"OPENSSH PRIVATE KEY" => Self::Other(
                "a private key in OpenSSH's format (convert it with `ssh-keygen -p -m pkcs8`)",
            ),
            b"DSA PRIVATE KEY" => Self::Other("a DSA key"),
            b"PUBLIC KEY" | b"RSA PUBLIC KEY" => Self::Other("a public key"),
            b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => {
                Self::Other("a certificate request")
            }
            b"X509 CRL" => Self::Other("a revocation list"),
            b"PKCS7" | b"CMS" => Self::Other("a PKCS#7 bundle"),
            _ => Self::Unknown,
        }
    }
}

// ===== reading =====

/// The blocks of a file, in their order. What stands between them is a comment.
pub(super) fn blocks(pem: &[u8]) -> Result<Vec<Block>, PemError> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(marker) = find(pem, at, b"BEGIN ") {
        no_end_between(pem, at, marker)?;
        let words = marker + b"BEGIN ".len();
        let label = find(pem, words, DASHES).map(|end| &pem[words..end]);
        if !pem[..marker].ends_with(DASHES) {
            // A comment, unless it goes on as a block does.
            let line = pem[words..]
                .split(|byte| matches!(byte, b'\n' | b'-'))
                .next();
            let line = line.unwrap_or_default().trim_ascii();
            if Label::of(line) != Label::Unknown {
                return Err(error(pem, marker, Wrong::Marker));
            }
            at = words;
            continue;
        }
        let Some(label) = label.filter(|words| !words.contains(&b'\n')) else {
            return Err(error(pem, marker, Wrong::Marker));
        };
        let body = words + label.len() + DASHES.len();
        let end_marker = [b"-----END ", label, DASHES].concat();
        let end = find(pem, body, &end_marker);
        let next = find(pem, body, b"BEGIN ");
        let end = end.filter(|end| next.is_none_or(|next| *end < next));
        let end = end.ok_or_else(|| error(pem, marker, Wrong::NoEnd))?;
        let line = line_of(pem, marker);
        blocks.push(block(pem, Label::of(label), line, body, end)?);
        at = end + end_marker.len();
    }
    no_end_between(pem, at, pem.len())?;
    Ok(blocks)
}

fn block(
    pem: &[u8],
    mut label: Label,
    line: usize,
    body: usize,
    end: usize,
) -> Result<Block, PemError> {
    let text = &pem[body..end];
    if find(text, 0, b"Proc-Type:").is_some() && find(text, 0, b"ENCRYPTED").is_some() {
        // RFC 1421: a key that OpenSSL has encrypted in its old way.
        label = Label::EncryptedKey;
    }
    if matches!(
        label,
        Label::EncryptedKey | Label::Other(_) | Label::Unknown
    ) {
        let der = Vec::new(); // Nothing is made of these.
        return Ok(Block { label, line, der });
    }
    let base64: Vec<u8> = text
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let der = BASE64_STANDARD.decode(base64).map_err(|_| {
        let known =
            |b: &u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"+/=".contains(b);
        match text.iter().position(|byte| !known(byte)) {
            Some(at) if text[at] == b'\\' => error(pem, body + at, Wrong::Backslash),
            Some(at) => error(pem, body + at, Wrong::Character),
            None => PemError::new(line, Wrong::Base64),
        }
    })?;
    Ok(Block { label, line, der })
}

fn no_end_between(pem: &[u8], from: usize, to: usize) -> Result<(), PemError> {
    match find(&pem[..to], from, b"-----END ") {
        Some(at) => Err(error(pem, at, Wrong::NoBegin)),
        None => Ok(()),
    }
}

fn error(pem: &[u8], at: usize, wrong: Wrong) -> PemError {
    PemError::new(line_of(pem, at), wrong)
}

fn line_of(pem: &[u8], at: usize) -> usize {
    1 + pem[..at].iter().filter(|byte| **byte == b'\n').count()
}

fn find(text: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let found = text[from..]
        .windows(wanted.len())
        .position(|here| here == wanted);
    found.map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    const TWO: &str = "-----BEGIN EC PRIVATE KEY-----\nBAUG\n-----END EC PRIVATE KEY-----\n";

    fn read(pem: impl AsRef<[u8]>) -> Result<Vec<(Label, usize, Vec<u8>)>, String> {
        let blocks = blocks(pem.as_ref()).map_err(|error| error.to_string())?;
        let parts = blocks
            .into_iter()
            .map(|block| (block.label, block.line, block.der));
        Ok(parts.collect())
    }

    fn two(lines: [usize; 2]) -> Vec<(Label, usize, Vec<u8>)> {
        vec![
            (Label::Certificate, lines[0], vec![1, 2, 3]),
            (Label::EcKey, lines[1], vec![4, 5, 6]),
        ]
    }

    #[test]
    fn every_block_is_read_however_the_file_was_mangled() {
        let both = [ONE, TWO].concat();
        assert_eq!(read(&both).unwrap(), two([1, 4]));
        assert_eq!(read(both.replace('\n', "\r\n")).unwrap(), two([1, 4]));
        assert_eq!(read(both.replace('\n', " ")).unwrap(), two([1, 1]));
        assert_eq!(read(both.replace('\n', "")).unwrap(), two([1, 1]));
        assert_eq!(read(format!("{}{TWO}", ONE.trim())).unwrap(), two([1, 3]));
        assert_eq!(
            read(format!("\u{feff}{ONE}\u{feff}{TWO}")).unwrap(),
            two([1, 4])
        );
        assert_eq!(read(both.replace('\n', "\n  ")).unwrap(), two([1, 4]));
        assert_eq!(read(both.replace("=\n", "=")).unwrap(), two([1, 4]));
        let commented = format!("issued: BEGIN of May\n{ONE}# the key\n\n{TWO}end");
        assert_eq!(read(commented).unwrap(), two([2, 7]));
        let other = ONE.replace("CERTIFICATE", "X509 CERTIFICATE");
        assert_eq!(read(format!("{other}{TWO}")).unwrap(), two([1, 4]));
    }

    #[test]
    fn a_bad_block_is_an_error_with_its_line() {
        for (second, line, expected) in [
            (
                TWO.replace("-----BEGIN", "----BEGIN"),
                4,
                "malformed marker",
            ),
            (TWO.replace("-----BEGIN", "—BEGIN"), 4, "malformed marker"),
            (
                TWO.replace("KEY-----\nBAUG", "KEY\nBAUG"),
                4,
                "malformed marker",
            ),
            (TWO.replace("-----END", "----END"), 4, "without its END"),
            (TWO.replace("END EC", "END"), 4, "without its END"),
            (
                "-----BEGIN EC PRIVATE KEY-----\nBAUG".into(),
                4,
                "without its END",
            ),
            (
                ONE.replace("-----END CERTIFICATE-----\n", TWO),
                4,
                "without its END",
            ),
            (
                "BAUG\n-----END CERTIFICATE-----".into(),
                5,
                "without a BEGIN",
            ),
            (TWO.replace('\n', "\\n"), 4, "line breaks must be"),
            (TWO.replace("AUG", "?UG"), 5, "invalid character"),
            (TWO.replace("AUG", "AU"), 4, "incomplete base64"),
        ] {
            let told = read(format!("{ONE}{second}")).unwrap_err();
            assert!(told.starts_with(&format!("line {line}: ")), "{told}");
            assert!(told.contains(expected), "{second}: {told}");
            assert!(!told.contains("AU"), "{told}");
        }
    }

    #[test]
    fn an_encrypted_key_is_named_as_one() {
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
            DEK-Info: AES-128-CBC,0A\n\nBAUG\n-----END RSA PRIVATE KEY-----";
        let new =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nBAUG\n-----END ENCRYPTED PRIVATE KEY-----";
        for pem in [old, new] {
            assert_eq!(read(pem).unwrap()[0].0, Label::EncryptedKey);
        }
    }
}
