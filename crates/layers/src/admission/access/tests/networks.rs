use std::{io::Write, net::IpAddr};

use ipnet::IpNet;
use proptest::prelude::*;

use crate::{
    admission::access::{Networks, NetworksError},
    testing::chain,
};

fn wrong(text: &str) -> String {
    text.parse::<Networks>().unwrap_err().to_string()
}

/// What comes of a file with this in it.
fn read(content: &[u8]) -> Result<Networks, NetworksError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    Networks::read(file.path())
}

/// The line and the column, and what is wrong there.
fn wrong_line(content: &str) -> (usize, usize, String) {
    match read(content.as_bytes()).unwrap_err() {
        NetworksError::Line {
            line,
            column,
            source,
            ..
        } => (line, column, source.to_string()),
        error => panic!("{error}"),
    }
}

#[test]
fn every_form_of_a_network_is_read() {
    let one = |text: &str| text.parse::<Networks>().unwrap();
    let contains = |text: &str, address: &str| one(text).contains(address.parse().unwrap());
    assert!(contains("10.0.0.0/8", "10.255.255.255"));
    assert!(!contains("10.0.0.0/8", "11.0.0.0"));
    assert!(contains("10.0.0.7", "10.0.0.7"));
    assert!(!contains("10.0.0.7", "10.0.0.8"));
    assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
    assert!(contains("::1", "::1"));
    assert!(contains("10.0.0.0/8+192.168.0.0/16", "192.168.3.4"));
    assert!(contains("0.0.0.0/0", "255.255.255.255"));
    assert!(contains("0.0.0.0/0", "0.0.0.0"));
    assert!(!contains("0.0.0.0/0", "::1"));
    assert!(contains("::/0", "ffff::"));
    assert_eq!(one("::ffff:10.0.0.0/104"), one("10.0.0.0/8"));
    assert_eq!(one("::ffff:10.0.0.7"), one("10.0.0.7/32"));
}

#[test]
fn any_other_text_is_an_error_with_a_remedy() {
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0/8",
        "010.0.0.0/8",
        "::/129",
        "10.0.0.0/8+",
        "localhost",
        "10.0.0.0-10.0.0.9",
        "[::1]",
        "fe80::1%eth0",
    ] {
        assert!(wrong(text).contains("`10.0.0.0/8`"), "{text}");
    }
    assert_eq!(
        wrong("10.0.0.7/8"),
        "`10.0.0.7/8` is an address within a network: write `10.0.0.0/8`, or `10.0.0.7` alone"
    );
    assert!(wrong("2001:db8::1/32").contains("`2001:db8::/32`"));
    assert!(wrong("\u{1b}[2J").starts_with("`\\u{1b}[2J`"));
    assert!(wrong(&"x".repeat(10_000)).len() < 300);
}

#[test]
fn a_file_has_one_network_a_line_and_comments() {
    let networks = read(
        b"# the office\r\n\
          10.0.0.0/8\r\n\
          \n\
          \t 192.0.2.7 # a guest\n\
          2001:db8::/32#as well",
    );
    let same = "10.0.0.0/8+192.0.2.7+2001:db8::/32".parse().unwrap();
    assert_eq!(networks.unwrap(), same);
    assert_eq!(read(b"").unwrap(), Networks::default());
}

#[test]
fn a_bad_line_is_named_with_its_number() {
    let (line, column, why) = wrong_line("# é\n10.0.0.0/8\n é\t10.0.0.0/8x\n");
    assert_eq!((line, column), (3, 2));
    assert!(why.starts_with("`é` is not a network"), "{why}");
    let (line, column, _) = wrong_line("\t10.0.0.0/33");
    assert_eq!((line, column), (1, 2));
    let (line, column, why) = wrong_line("10.0.0.0/8 192.168.0.0/16");
    assert_eq!((line, column), (1, 12));
    assert!(
        why.starts_with("`192.168.0.0/16` is the second network of its line"),
        "{why}"
    );
    let (line, column, _) = wrong_line("\n\n  10.0.0.7/8\n");
    assert_eq!((line, column), (3, 3));

    let error = read(b"10.0.0.0/8\nx").unwrap_err();
    let text = chain(&error);
    assert!(text.contains(", line 2, column 1: `x` is not"), "{text}");
}

#[test]
fn a_user_is_a_number() {
    for text in ["uid:bob", "gid:", "uid:-1", "uid:4294967296"] {
        let error = text.parse::<Networks>().unwrap_err().to_string();
        let expected = format!("`{text}` is not a user's number: that is `uid:1000` or `gid:100`");
        assert!(error.starts_with(&expected), "{error}");
    }
    assert_eq!(
        read(b"uid:8 # the deploy user\ngid:7\nuid:8\n").unwrap(),
        "gid:7+uid:8".parse().unwrap()
    );
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let error = Networks::read("/nonexistent/allowed").unwrap_err();
    assert_eq!(error.to_string(), "/nonexistent/allowed can't be read");
    assert!(matches!(read(b"\xff\n"), Err(NetworksError::Read { .. })));
}

/// Networks that lie close, so that they overlap and touch.
fn any_network() -> impl Strategy<Value = IpNet> {
    let v4 = (0..256_u32, 22..=32_u8).prop_map(|(host, prefix)| {
        let address = IpAddr::from((0x0a00_0000 + host).to_be_bytes());
        IpNet::new(address, prefix).unwrap().trunc()
    });
    let v6 = (0..256_u128, 118..=128_u8)
        .prop_map(|(host, prefix)| IpNet::new(IpAddr::V6(host.into()), prefix).unwrap().trunc());
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn an_address_is_in_the_set_when_one_network_has_it(
        networks in proptest::collection::vec(any_network(), 0..12),
        host in 0..300_u32,
    ) {
        let set: Networks = networks.iter().copied().collect();
        let v4 = IpAddr::from((0x0a00_0000 + host).to_be_bytes());
        for address in [v4, IpAddr::V6(u128::from(host).into())] {
            let in_one = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(set.contains(address), in_one, "{}", address);
        }
    }
}
