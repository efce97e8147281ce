use couplet_endpoint::{
    Conn, Replay,
    memory::{self, MemoryStream},
};
use couplet_layers::{Handshake, Identity, take_line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    key_text,
    testing::{conn, read_all},
};

fn key() -> Ed25519Key {
    Ed25519Key::generate().unwrap()
}

fn challenge(key: &Ed25519Key) -> Challenge {
    Challenge::new(
        [(key.public(), Identity::new("laptop"))]
            .into_iter()
            .collect(),
    )
}

type Asked = Result<Conn<Replay<MemoryStream>>, ChallengeRefused>;

/// Asks a peer that makes its answer of the challenge.
async fn ask(challenge: &Challenge, answer: impl AsyncFnOnce(String, &mut MemoryStream)) -> Asked {
    let (mut peer, io) = memory::connection(1024);
    let asking = tokio::spawn(challenge.handshake(conn(io)));
    let mut asked = [0; 63];
    peer.read_exact(&mut asked).await.unwrap();
    answer(String::from_utf8(asked.to_vec()).unwrap(), &mut peer).await;
    peer.shutdown().await.unwrap();
    let asked = asking.await.unwrap();
    if asked.is_err() {
        let (heard, end) = read_all(&mut peer).await;
        assert!(heard.is_empty(), "a peer that fails is told nothing");
        end.unwrap();
    }
    asked
}

/// Asks a peer that says this.
async fn ask_who_says(challenge: &Challenge, answer: &[u8]) -> Asked {
    ask(challenge, async |_, peer| {
        peer.write_all(answer).await.unwrap()
    })
    .await
}

/// What `key` answers, with more behind it.
fn answered(answer: &AnswerChallenge, asked: &str) -> Vec<u8> {
    let line = answer.answer(asked.trim_end().as_bytes()).unwrap();
    (line + "rest").into_bytes()
}

#[tokio::test]
async fn a_client_with_a_known_key_passes_with_its_name() {
    let key = key();
    let (ours, theirs) = memory::connection(100);
    let (ask, answer) = (challenge(&key), AnswerChallenge::new(key));
    let answering = async {
        let mut conn = answer.handshake(conn(ours)).await.unwrap();
        conn.io.write_all(b"to who asks").await.unwrap();
        conn.io.shutdown().await.unwrap();
        read_all(&mut conn.io).await.0
    };
    let asking = async {
        let mut conn = ask.handshake(conn(theirs)).await.unwrap();
        conn.io.write_all(b"to who answers").await.unwrap();
        conn.io.shutdown().await.unwrap();
        let identity: &Identity = conn.info.extensions.get().unwrap();
        assert_eq!(identity.name(), "laptop");
        read_all(&mut conn.io).await.0
    };
    let (to_answer, to_ask) = tokio::join!(answering, asking);
    assert_eq!(to_answer, b"to who answers");
    assert_eq!(to_ask, b"to who asks");
}

#[tokio::test]
async fn bytes_after_the_answer_are_kept_wherever_the_stream_is_cut() {
    let key = key();
    let (ask_it, answer) = (challenge(&key), AnswerChallenge::new(key));
    for cut in 0..160 {
        let let_in = ask(&ask_it, async |asked, peer| {
            let line = answered(&answer, &asked);
            let (one, two) = line.split_at(cut.min(line.len()));
            for piece in [one, two] {
                peer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(read_all(&mut let_in.await.unwrap().io).await.0, b"rest");
    }
}

#[tokio::test]
async fn an_answer_is_valid_once() {
    let key = key();
    let (ask_it, answer) = (challenge(&key), AnswerChallenge::new(key));
    let mut overheard = Vec::new();
    let first = ask(&ask_it, async |asked, peer| {
        overheard = answered(&answer, &asked);
        peer.write_all(&overheard).await.unwrap();
    });
    assert!(first.await.is_ok());
    let again = ask_who_says(&ask_it, &overheard).await;
    assert!(matches!(again, Err(ChallengeRefused::Forged)));
}

#[tokio::test]
async fn another_key_or_context_is_refused() {
    let (known, other) = (key(), key());
    let ask_it = challenge(&known).context("backup");
    let answer = |key: &Ed25519Key| AnswerChallenge::new(key.clone());
    let with = async |answer: AnswerChallenge| {
        ask(&ask_it, async |asked, peer| {
            peer.write_all(&answered(&answer, &asked)).await.unwrap();
        })
        .await
    };
    assert!(with(answer(&known).context("backup")).await.is_ok());
    let refused = with(answer(&known)).await;
    assert!(matches!(refused, Err(ChallengeRefused::Forged)));
    let refused = with(answer(&other).context("backup")).await;
    assert!(matches!(refused, Err(ChallengeRefused::UnknownKey(key)) if key == other.public()));
    // Its own signature under another's name.
    let refused = ask(&ask_it, async |asked, peer| {
        let line = answered(&answer(&other).context("backup"), &asked);
        let line = String::from_utf8(line).unwrap();
        let line = line.replace(&other.public().to_string(), &known.public().to_string());
        peer.write_all(line.as_bytes()).await.unwrap();
    });
    assert!(matches!(refused.await, Err(ChallengeRefused::Forged)));
}

#[tokio::test]
async fn no_bit_of_an_answer_can_be_changed() {
    let key = key();
    let (ask_it, answer) = (challenge(&key), AnswerChallenge::new(key));
    for at in 0..140 {
        let refused = ask(&ask_it, async |asked, peer| {
            let mut line = answered(&answer, &asked);
            line[at] ^= 1 << (at % 7);
            peer.write_all(&line).await.unwrap();
        });
        assert!(refused.await.is_err(), "{at}");
    }
}

#[tokio::test]
async fn any_other_answer_is_refused() {
    let key = key();
    let ask_it = challenge(&key);
    for line in [
        "\n".to_owned(),
        "couplet-answer1\n".into(),
        "couplet-answer1  \n".into(),
        format!("couplet-answer1 {} AAAA\n", key.public()),
        format!("couplet-answer2 {} {}\n", key.public(), "A".repeat(86)),
        // A key of small order: a signature for it needs no private key.
        format!(
            "couplet-answer1 ed25519:AQ{} {}\n",
            "A".repeat(41),
            "A".repeat(86)
        ),
    ] {
        let refused = ask_who_says(&ask_it, line.as_bytes()).await;
        assert!(
            matches!(refused, Err(ChallengeRefused::Malformed)),
            "{line}"
        );
    }
    for line in [&b"couplet-answer1 "[..], &[b'x'; 300]] {
        let refused = ask_who_says(&ask_it, line).await;
        assert!(matches!(refused, Err(ChallengeRefused::Line(_))));
    }
}

#[tokio::test]
async fn a_client_answers_a_challenge_alone() {
    let answer = AnswerChallenge::new(key());
    for line in [
        "SSH-2.0-x\r\n",
        "couplet-challenge1 AAAA\n",
        "couplet-challenge2 \n",
    ] {
        let (mut peer, io) = memory::connection(1024);
        peer.write_all(line.as_bytes()).await.unwrap();
        let refused = answer.handshake(conn(io)).await;
        assert!(matches!(refused, Err(NotAsked::Malformed)), "{line}");
        assert!(read_all(&mut peer).await.0.is_empty());
    }
}

#[tokio::test]
async fn no_two_challenges_are_the_same() {
    let ask_it = challenge(&key());
    let mut challenges = Vec::new();
    for _ in 0..2 {
        let (peer, io) = memory::connection(1024);
        let _asking = tokio::spawn(ask_it.handshake(conn(io)));
        challenges.push(take_line(&mut Replay::new(peer), 100).await.unwrap());
    }
    assert_ne!(challenges[0], challenges[1]);
}

#[test]
fn keys_are_read_as_they_are_written() {
    let key = key();
    let text = key.to_secret_text();
    assert_eq!(text.parse::<Ed25519Key>().unwrap().public(), key.public());
    let public = key.public().to_string();
    assert_eq!(public.parse(), Ok(key.public()));
    // Neither is taken for the other, nor shown.
    assert!(public.parse::<Ed25519Key>().is_err());
    assert!(text.parse::<Ed25519PublicKey>().is_err());
    assert!(!format!("{key:?}").contains(text.split_once(':').unwrap().1));
    // From RFC 8032, 7.1, test 1.
    let bytes = |hex: &str| -> [u8; 32] {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    };
    let private = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let private = key_text::write("ed25519-private", &private);
    assert_eq!(
        private.parse::<Ed25519Key>().unwrap().public().to_string(),
        key_text::write("ed25519", &public)
    );
}

#[test]
fn a_file_of_keys_has_names_and_comments() {
    let (one, two) = (key().public(), key().public());
    let file = format!("# who may\n\n{one} laptop\n  {two}\tAda Lovelace \r\n");
    let keys: AuthorizedKeys = file.parse().unwrap();
    assert_eq!(keys.name_of(&one).unwrap().name(), "laptop");
    assert_eq!(keys.name_of(&two).unwrap().name(), "Ada Lovelace");
    assert!(keys.name_of(&key().public()).is_none());
    // A byte order mark, as some editors write, is no part of a key.
    let marked: AuthorizedKeys = format!("\u{feff}{file}").parse().unwrap();
    assert!(marked.name_of(&two).is_some());
    for (file, message) in [
        (String::new(), "line 1, column 1: no key"),
        (
            format!("\n{one}"),
            "line 2, column 1: no name behind the key",
        ),
        (
            "  ed25519:AAAA x".into(),
            "line 1, column 3: invalid key: a key is `ed25519:`",
        ),
        (
            format!("{one} a\u{1b}[2J"),
            "line 1, column 53: invalid name",
        ),
        (
            format!("{one} a\n{one} b"),
            "line 2, column 1: key is there twice",
        ),
        (
            format!("ed25519:AQ{} x", "A".repeat(41)),
            "line 1, column 1: invalid key",
        ),
    ] {
        let wrong = file.parse::<AuthorizedKeys>().unwrap_err().to_string();
        assert!(wrong.starts_with(message), "{file:?}: {wrong}");
    }
}
