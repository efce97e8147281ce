//! Addresses that are shown shortened. Alone in its process, whose setting it is.

use couplet_endpoint::{Info, Origin, PeerName, shorten_client_addresses, shown_client};

#[test]
fn a_client_is_its_network_and_a_server_its_address() {
    let addr = |text: &str| text.parse().unwrap();
    let mut client = Info::new(Origin::Accepted);
    client.peer = Some(addr("192.0.2.200:5432"));
    assert_eq!(client.peer_name().to_string(), "192.0.2.200:5432");
    shorten_client_addresses();
    assert_eq!(client.peer_name().to_string(), "192.0.2.0:0");
    assert_eq!(PeerName::from(client.peer).to_string(), "192.0.2.0:0");
    for (client, shown) in [
        ("[::ffff:192.0.2.200]:1", "192.0.2.0:0"),
        ("[2001:db8:7:8::9]:1", "[2001:db8:7::]:0"),
    ] {
        assert_eq!(shown_client(addr(client)), addr(shown));
    }
    let mut server = Info::new(Origin::Dialled);
    server.peer = client.peer;
    assert_eq!(server.peer_name().to_string(), "192.0.2.200:5432");
}
