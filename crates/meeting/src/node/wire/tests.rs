use couplet_connector::endpoint::memory;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn origin() -> Origin {
    Origin {
        node: "a".into(),
        client: Some("[2001:db8::1]:7".parse().unwrap()),
        side: Some(Side::B),
        identity: Some("Ada \u{1b}[2J".into()),
        waited: Duration::from_millis(1234),
    }
}

fn join() -> Join {
    Join {
        ticket: Ticket([7; 16]),
        key: Key([9; 16]),
        origin: origin(),
        follows: false,
    }
}

async fn sent(bytes: &[u8]) -> Replay<memory::MemoryStream> {
    let (mut peer, io) = memory::connection(4096);
    peer.write_all(bytes).await.unwrap();
    Replay::new(io)
}

#[tokio::test]
async fn two_nodes_with_one_secret_understand_each_other() {
    let secret = Secret::new(*b"0123456789abcdef");
    let (mut claimer, mut home) = (Transcript::new(&secret), Transcript::new(&secret));
    let said = [&claimer.join(&join())[..], b"more"].concat();
    let mut io = sent(&said).await;
    assert_eq!(home.read_join(&mut io).await.unwrap(), join());
    let said = home.reply(&Reply::Ok(origin()));
    let reply = claimer.read_reply(&mut sent(&said).await).await.unwrap();
    assert_eq!(reply, Reply::Ok(origin()));
    let said = [&claimer.go()[..], b"bytes"].concat();
    let mut go = sent(&said).await;
    home.read_go(&mut go).await.unwrap();
    // What is behind is left for the partner.
    for (io, left) in [(&mut io, &b"more"[..]), (&mut go, b"bytes")] {
        let mut rest = [0; 16];
        let n = io.read(&mut rest).await.unwrap();
        assert_eq!(&rest[..n], left);
    }
}

#[tokio::test]
async fn gone_is_read_as_gone() {
    let secret = Secret::new(*b"0123456789abcdef");
    let (mut claimer, mut home) = (Transcript::new(&secret), Transcript::new(&secret));
    let said = claimer.join(&join());
    home.read_join(&mut sent(&said).await).await.unwrap();
    let said = home.reply(&Reply::Gone);
    let reply = claimer.read_reply(&mut sent(&said).await).await;
    assert_eq!(reply.unwrap(), Reply::Gone);
}

#[tokio::test]
async fn a_node_says_where_its_clients_are_reached() {
    let secret = Secret::new(*b"0123456789abcdef");
    let (mut claimer, mut home) = (Transcript::new(&secret), Transcript::new(&secret));
    let join = Join {
        follows: true,
        ..join()
    };
    let said = claimer.join(&join);
    let first = home.read_first(&mut sent(&said).await).await;
    assert_eq!(first.unwrap(), First::Join(join));
    let at = Reply::At("relay.example.org:4000".parse().unwrap());
    let said = home.reply(&at);
    let reply = claimer.read_reply(&mut sent(&said).await).await;
    assert_eq!(reply.unwrap(), at);
}

#[tokio::test]
async fn a_connection_that_is_kept_ready_is_known_before_its_join() {
    let secret = Secret::new(*b"0123456789abcdef");
    let (mut claimer, mut home) = (Transcript::new(&secret), Transcript::new(&secret));
    let hello = claimer.hello();
    let first = home.read_first(&mut sent(&hello).await).await;
    assert_eq!(first.unwrap(), First::Hello);
    // One that was recorded says nothing of the nonce of now.
    let mut recorded = Transcript::new(&secret);
    recorded.read_first(&mut sent(&hello).await).await.unwrap();
    recorded.reply(&Reply::Ready);
    let ready = home.reply(&Reply::Ready);
    let reply = claimer.read_reply(&mut sent(&ready).await).await;
    assert_eq!(reply.unwrap(), Reply::Ready);
    let known = claimer.known();
    let denied = recorded.read_known(&mut sent(&known).await).await;
    assert!(matches!(denied, Err(WireError::Denied)));
    home.read_known(&mut sent(&known).await).await.unwrap();
    let said = claimer.join(&join());
    assert_eq!(
        home.read_join(&mut sent(&said).await).await.unwrap(),
        join()
    );
}

#[tokio::test]
async fn no_bit_of_what_is_said_can_be_changed() {
    let secret = Secret::new(*b"0123456789abcdef");
    let mut claimer = Transcript::new(&secret);
    let said = claimer.join(&join());
    for at in 0..said.len() {
        let mut changed = said.clone();
        changed[at] ^= 1 << (at % 8);
        let mut io = sent(&changed).await;
        io.get_mut().shutdown().await.unwrap();
        let mut home = Transcript::new(&secret);
        let reading = home.read_join(&mut io);
        // A length that was changed makes the reader wait for more.
        let read = tokio::time::timeout(Duration::from_millis(1), reading).await;
        assert!(!matches!(read, Ok(Ok(_))), "{at}");
    }
}

#[tokio::test]
async fn another_secret_or_connection_is_denied() {
    let secrets = [*b"0123456789abcdef", *b"0123456789abcdeF"].map(Secret::new);
    let mut claimer = Transcript::new(&secrets[0]);
    let said = claimer.join(&join());
    let mut other = Transcript::new(&secrets[1]);
    let read = other.read_join(&mut sent(&said).await).await;
    assert!(matches!(read, Err(WireError::Denied)));
    // A reply and a GO of one connection are worth nothing in another.
    let [mut one, mut home] = [0; 2].map(|_| Transcript::new(&secrets[0]));
    one.read_join(&mut sent(&said).await).await.unwrap();
    let reply = one.reply(&Reply::Gone);
    let mut again = Transcript::new(&secrets[0]);
    let said_again = again.join(&join());
    let read = again.read_reply(&mut sent(&reply).await).await;
    assert!(matches!(read, Err(WireError::Denied)));
    home.read_join(&mut sent(&said_again).await).await.unwrap();
    home.reply(&Reply::Ok(origin()));
    let go = claimer.go();
    let read = home.read_go(&mut sent(&go).await).await;
    assert!(matches!(read, Err(WireError::Denied)));
}

#[test]
fn the_match_maker_knows_another_key_with_each_secret() {
    let secrets = [*b"0123456789abcdef", *b"0123456789abcdeF"].map(Secret::new);
    let keys = [b"one", b"two"].map(|key| secrets.each_ref().map(|secret| secret.key(b"", key)));
    let mut keys = keys.concat();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    assert!(!format!("{:?}", secrets[0]).contains("0123"));
}

#[test]
fn a_long_identity_is_cut_between_characters() {
    let mut long = origin();
    long.identity = Some("ä".repeat(1000));
    let mut written = Vec::new();
    long.write(&mut written);
    let read = Origin::read(&written[2..]).unwrap();
    assert_eq!(read.identity, Some("ä".repeat(256)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Origin::read(&bytes);
    }
}
