//! What people write: addresses, and the words of the command line.

use std::{error::Error, fmt::Display, str::FromStr};

use couplet_connector::endpoint::{
    Address, AddressError, DialAddr, ExecAddr, HostName, ListenAddr, SrvName, TargetAddr, UnixAddr,
};

use crate::assert_printable;

/// The grammar of addresses: what is shown parses again to the same, an error points into its input.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    shown_is_read_again::<Address>(text);
    shown_is_read_again::<DialAddr>(text);
    shown_is_read_again::<ListenAddr>(text);
    shown_is_read_again::<UnixAddr>(text);
    shown_is_read_again::<ExecAddr>(text);
    shown_is_read_again::<TargetAddr>(text);
    shown_is_read_again::<SrvName>(text);
    match HostName::new(text) {
        Ok(name) => assert_eq!(HostName::new(name.as_str()).as_ref(), Ok(&name)),
        Err(error) => legible(&error),
    }
}

fn shown_is_read_again<T>(text: &str)
where
    T: FromStr<Err = AddressError> + Display + PartialEq + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(address) => {
            let shown = address.to_string();
            assert_printable(&shown);
            assert_eq!(shown.parse(), Ok(address), "{shown}");
        }
        Err(error) => legible(&error),
    }
}

fn legible(error: &AddressError) {
    assert!(error.input().get(error.span()).is_some(), "{error:?}");
    assert_printable(&format!("{error}"));
    assert_printable(&format!("{error:#}"));
    assert!(error.source().is_none());
}

/// The words of the command line, one a line: a plan that can be explained, or an error.
///
/// Options that name files are passed over: opening some files blocks.
pub fn command(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let names_file = text.contains('@')
        || text.contains("/")
            && text
                .split('/')
                .skip(1)
                .any(|behind| !behind.starts_with(|c: char| c.is_ascii_digit()));
    if names_file || text.contains('\0') {
        return;
    }
    let words: Vec<_> = ["couplet"].into_iter().chain(text.lines()).collect();
    match couplet::explain(&words) {
        Ok(explained) => assert_printable(&explained),
        // clap shows a word that it does not know as it is: to the user that typed it.
        Err(error) if error.starts_with("error: ") => {}
        Err(error) => assert_printable(&error),
    }
}
