use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{AddressError, error::Mistake, parse::fail};

/// The name of a Unix socket: a path, or a name in Linux's abstract namespace. See unix(7).
///
/// It is made of a text, `/run/app.sock` or `@name`, with or without `unix:` before it, or by its
/// constructors. [`Display`](fmt::Display) writes `unix:/run/app.sock` or `unix:@name`, with control
/// characters, white space and what is not UTF-8 as `\xNN`.
///
/// A path is up to 107 bytes long, and so is an abstract name; neither is empty.
///
/// ```
/// use couplet_endpoint::UnixAddr;
///
/// let addr: UnixAddr = "/run/app.sock".parse()?;
/// assert_eq!(addr.to_string(), "unix:/run/app.sock");
/// assert_eq!("unix:@app".parse::<UnixAddr>()?.as_abstract_name(), Some(&b"app"[..]));
/// # Ok::<(), couplet_endpoint::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixAddr(Name);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Path(PathBuf),
    Abstract(Box<[u8]>),
}

/// What `sun_path` has room for, without the zero that ends a path or begins an abstract name.
const LONGEST: usize = 107;

const FORMS: &str = "`unix:/PATH`, or `unix:@NAME` for an abstract name";

// ===== impl UnixAddr =====

impl UnixAddr {
    /// A socket in the file system.
    ///
    /// # Errors
    ///
    /// [`AddressError`] where the path is empty, longer than 107 bytes, or holds a zero byte.
    pub fn path(path: impl Into<PathBuf>) -> Result<Self, AddressError> {
        let path = path.into();
        check(path.as_os_str().as_encoded_bytes())
            .map_err(|mistake| AddressError::new(&path.to_string_lossy(), 0..0, mistake))?;
        Ok(Self(Name::Path(path)))
    }

    /// A socket in the abstract namespace, which only Linux has. Any program in the same network
    /// namespace may connect to such a socket.
    ///
    /// # Errors
    ///
    /// As [`path`](Self::path).
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Result<Self, AddressError> {
        let name = name.as_ref();
        check(name)
            .map_err(|mistake| AddressError::new(&String::from_utf8_lossy(name), 0..0, mistake))?;
        Ok(Self(Name::Abstract(name.into())))
    }

    /// The path, where it is one.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Name::Path(path) => Some(path),
            Name::Abstract(_) => None,
        }
    }

    /// The name in the abstract namespace, where it is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Path(_) => None,
            Name::Abstract(name) => Some(name),
        }
    }

    /// The bytes of `sun_path`: an abstract name begins with a zero.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Name::Path(path) => path.as_os_str().as_encoded_bytes().to_vec(),
            Name::Abstract(name) => [&[0], &**name].concat(),
        }
    }

    /// Reads the `sun_path` of a socket or a PROXY header, without the zeros that may follow a path; `None`
    /// for a socket without a name.
    #[cfg(unix)]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt;

        match bytes {
            [] => None,
            [0, name @ ..] => {
                let end = name.iter().rposition(|byte| *byte != 0)? + 1;
                Self::abstract_name(&name[..end]).ok()
            }
            path => {
                let path = path.split(|byte| *byte == 0).next()?;
                Self::path(OsStr::from_bytes(path)).ok()
            }
        }
    }

    /// Reads what follows `unix:` in `input`, from byte `at` on.
    pub(super) fn read(input: &str, at: usize) -> Result<Self, AddressError> {
        let text = &input[at..];
        let name = text.strip_prefix('@');
        if let Err(mistake) = check(name.unwrap_or(text).as_bytes()) {
            return fail(input, at..input.len(), mistake);
        }
        if name.is_none() && text.ends_with('/') {
            let mistake = Mistake::new("a directory is not a socket", FORMS);
            return fail(input, at..input.len(), mistake);
        }
        let addr = Self(match name {
            Some(name) => Name::Abstract(name.as_bytes().into()),
            None => Name::Path(text.into()),
        });
        // What is shown otherwise would be read as another name.
        if addr.to_string().strip_prefix("unix:") != Some(text) {
            let message = "a character that does not show, or a backslash";
            let mistake = Mistake::new(message, "letters, digits, `/`, `.`, `-` and the like");
            return fail(input, at..input.len(), mistake);
        }
        Ok(addr)
    }
}

fn check(name: &[u8]) -> Result<(), Mistake> {
    if name.is_empty() {
        return Err(Mistake::new("a Unix socket needs a name", FORMS));
    }
    if name.len() > LONGEST {
        let message = format!("a Unix socket's name of {} bytes", name.len());
        return Err(Mistake::new(message, format!("at most {LONGEST} bytes")));
    }
    if name.contains(&0) {
        let message = "a zero byte in a Unix socket's name";
        return Err(Mistake::new(message, FORMS));
    }
    Ok(())
}

impl FromStr for UnixAddr {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, AddressError> {
        super::parse::shows(input)?;
        let at = input.strip_prefix("unix:").map_or(0, |_| "unix:".len());
        Self::read(input, at)
    }
}

impl TryFrom<&str> for UnixAddr {
    type Error = AddressError;

    fn try_from(input: &str) -> Result<Self, AddressError> {
        input.parse()
    }
}

impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match &self.0 {
            Name::Path(path) => {
                let path = path.as_os_str().as_encoded_bytes();
                // A path, not an abstract name.
                let here = if path.starts_with(b"@") { "./" } else { "" };
                write!(f, "unix:{here}")?;
                path
            }
            Name::Abstract(name) => {
                f.write_str("unix:@")?;
                name
            }
        };
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                // What `escape_debug` leaves alone shows; quotes show, too.
                match c {
                    '"' | '\'' => write!(f, "{c}")?,
                    c if c.is_whitespace() || c.escape_debug().len() > 1 => {
                        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                            write!(f, "\\x{byte:02x}")?;
                        }
                    }
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["unix:/run/app.sock", "unix:./a", "unix:@app", "unix:/ä'\""] {
            let addr: UnixAddr = text.parse().unwrap();
            assert_eq!(addr.to_string(), text);
            assert_eq!(text["unix:".len()..].parse::<UnixAddr>().unwrap(), addr);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_does_not_show_is_escaped() {
        use std::os::unix::ffi::OsStrExt;

        let path = UnixAddr::path(OsStr::from_bytes(b"/a b\n\x1b\xff")).unwrap();
        assert_eq!(path.to_string(), "unix:/a\\x20b\\x0a\\x1b\\xff");
    }

    #[cfg(unix)]
    #[test]
    fn the_bytes_of_a_socket_are_its_name() {
        for (bytes, shown) in [
            (&b"/run/a"[..], Some("unix:/run/a")),
            (b"/run/a\0\0", Some("unix:/run/a")),
            (b"\0name", Some("unix:@name")),
            (b"\0name\0\0", Some("unix:@name")),
            (b"", None),
            (&[0; 108], None),
        ] {
            let addr = UnixAddr::from_bytes(bytes);
            assert_eq!(addr.as_ref().map(ToString::to_string).as_deref(), shown);
            if let Some(addr) = addr {
                assert_eq!(UnixAddr::from_bytes(&addr.to_bytes()), Some(addr));
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "x".repeat(108);
        for (text, wrong) in [
            ("", "a Unix socket needs a name"),
            ("unix:", "a Unix socket needs a name"),
            ("@", "a Unix socket needs a name"),
            ("/run/", "a directory is not a socket"),
            ("/a\\b", "a character that does not show, or a backslash"),
            (
                "@\u{200b}",
                "a character that does not show, or a backslash",
            ),
            ("/a b", "an address has no white space"),
            ("/a\x1b", "an address has no control character"),
            (&long, "a Unix socket's name of 108 bytes"),
        ] {
            let error = text.parse::<UnixAddr>().unwrap_err();
            assert_eq!(error.message(), wrong, "{text}");
        }
        assert!("x".repeat(107).parse::<UnixAddr>().is_ok());
        assert!(UnixAddr::path("a\0b").is_err());
    }
}
