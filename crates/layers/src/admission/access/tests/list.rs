use couplet_endpoint::{Info, Origin};

use crate::admission::access::{AccessList, AccessRule, Networks, NotListed};

fn networks(text: &str) -> Networks {
    text.parse().unwrap()
}

/// May a peer of this address enter?
fn check(list: &AccessList, peer: &str) -> Result<(), NotListed> {
    let mut info = Info::new(Origin::Accepted);
    info.peer = Some((peer.parse::<std::net::IpAddr>().unwrap(), 4711).into());
    list.check(&info)
}

#[test]
fn without_lists_every_client_passes() {
    let list = AccessList::new();
    assert_eq!(check(&list, "10.0.0.1"), Ok(()));
    assert_eq!(check(&list, "2001:db8::1"), Ok(()));
}

#[test]
fn deny_wins() {
    // Whichever of the two is the narrower, and whichever is said first.
    let narrow_deny = AccessList::new()
        .allow(networks("10.0.0.0/8"))
        .deny(networks("10.66.0.0/16"));
    let narrow_allow = AccessList::new()
        .deny(networks("10.0.0.0/8"))
        .allow(networks("10.66.0.0/16"));
    assert_eq!(check(&narrow_deny, "10.66.0.1"), Err(NotListed::Denied));
    assert_eq!(check(&narrow_deny, "10.67.0.1"), Ok(()));
    assert_eq!(check(&narrow_allow, "10.66.0.1"), Err(NotListed::Denied));
    assert_eq!(check(&narrow_allow, "10.67.0.1"), Err(NotListed::Denied));
}

#[test]
fn with_an_allow_list_only_its_clients_pass() {
    let list = AccessList::new()
        .allow(networks("10.0.0.0/8"))
        .allow(networks("2001:db8::/32"));
    assert_eq!(check(&list, "10.1.2.3"), Ok(()));
    assert_eq!(check(&list, "2001:db8::1"), Ok(()));
    assert_eq!(check(&list, "11.0.0.1"), Err(NotListed::NotAllowed));
    assert_eq!(check(&list, "2001:db9::1"), Err(NotListed::NotAllowed));
    let empty = AccessList::new().allow(Networks::default());
    assert_eq!(check(&empty, "10.1.2.3"), Err(NotListed::NotAllowed));
}

#[test]
fn with_a_deny_list_alone_all_other_clients_pass() {
    let list = AccessList::new()
        .deny(networks("10.0.0.0/8"))
        .deny(networks("192.0.2.7"));
    assert_eq!(check(&list, "10.1.2.3"), Err(NotListed::Denied));
    assert_eq!(check(&list, "192.0.2.7"), Err(NotListed::Denied));
    assert_eq!(check(&list, "192.0.2.8"), Ok(()));
}

#[test]
fn a_mapped_ipv4_address_is_an_ipv4_address() {
    let list = AccessList::new().deny(networks("10.0.0.0/8"));
    assert_eq!(check(&list, "::ffff:10.1.2.3"), Err(NotListed::Denied));
    let list = AccessList::new().allow(networks("::ffff:10.0.0.0/104"));
    assert_eq!(check(&list, "10.1.2.3"), Ok(()));
    assert_eq!(check(&list, "::ffff:10.1.2.3"), Ok(()));
    // All of IPv6 is not all of IPv4.
    let list = AccessList::new().allow(networks("::/0"));
    assert_eq!(check(&list, "::ffff:10.1.2.3"), Err(NotListed::NotAllowed));
}

#[test]
fn a_client_without_an_address_is_on_no_list() {
    let unix = Info::new(Origin::Accepted);
    let deny = AccessList::new().deny(networks("0.0.0.0/0+::/0"));
    assert_eq!(deny.check(&unix), Ok(()));
    let allow = AccessList::new().allow(networks("0.0.0.0/0+::/0"));
    assert_eq!(allow.check(&unix), Err(NotListed::NoAddress));
}

#[test]
fn a_peer_of_a_unix_socket_is_on_a_list_by_its_user_or_group() {
    let check = |list: AccessList, peer: Option<&str>| {
        let mut info = crate::testing::of_user(7, 8);
        info.peer = peer.map(|peer| (peer.parse::<std::net::IpAddr>().unwrap(), 4711).into());
        list.check(&info)
    };
    let list = AccessList::new;
    for on in ["uid:7", "gid:8", "10.0.0.0/8+gid:9+uid:7"] {
        assert_eq!(check(list().allow(networks(on)), None), Ok(()));
        assert_eq!(
            check(list().deny(networks(on)), None),
            Err(NotListed::UserDenied)
        );
    }
    for off in ["uid:8", "gid:7", "0.0.0.0/0"] {
        assert_eq!(
            check(list().allow(networks(off)), None),
            Err(NotListed::UserNotAllowed)
        );
        assert_eq!(check(list().deny(networks(off)), None), Ok(()));
    }
    // Behind a PROXY header each of the two counts.
    let proxied = Some("10.0.0.1");
    assert_eq!(check(list().allow(networks("uid:7")), proxied), Ok(()));
    assert_eq!(check(list().allow(networks("10.0.0.0/8")), proxied), Ok(()));
    let denied = check(list().deny(networks("uid:7")), proxied);
    assert_eq!(denied, Err(NotListed::Denied));
}

#[test]
fn a_public_list_has_special_addresses_that_are_named_alone() {
    let public = AccessList::new().public();
    let special = [
        "127.0.0.1",
        "10.1.2.3",
        "::1",
        "::ffff:10.1.2.3",
        "169.254.169.254",
        "fd00::1",
    ];
    for peer in special {
        assert_eq!(check(&public, peer), Err(NotListed::Special), "{peer}");
    }
    assert_eq!(check(&public, "1.1.1.1"), Ok(()));

    // All addresses are not a special network, even beside one.
    let all = public.clone().allow(networks("0.0.0.0/0+::/0"));
    for peer in special {
        assert_eq!(check(&all, peer), Err(NotListed::Special), "{peer}");
    }
    let one = public.clone().allow(networks("0.0.0.0/0+10.1.0.0/16"));
    let merged = all.allow(networks("10.1.0.0/16"));
    for list in [one, merged] {
        assert_eq!(check(&list, "10.1.2.3"), Ok(()));
        assert_eq!(check(&list, "::ffff:10.1.2.3"), Ok(()));
        assert_eq!(check(&list, "10.2.0.1"), Err(NotListed::Special));
        assert_eq!(check(&list, "127.0.0.1"), Err(NotListed::Special));
        assert_eq!(check(&list, "1.1.1.1"), Ok(()));
        let denied = list.deny(networks("10.1.2.0/24"));
        assert_eq!(check(&denied, "10.1.2.3"), Err(NotListed::Denied));
    }
    let only = public.allow(networks("127.0.0.1"));
    assert_eq!(check(&only, "127.0.0.1"), Ok(()));
    assert_eq!(check(&only, "1.1.1.1"), Err(NotListed::NotAllowed));
}
