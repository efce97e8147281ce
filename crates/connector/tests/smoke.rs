use couplet_connector::{
    BoxPair, Connector,
    endpoint::{BoxIo, Conn, Dial, Listen, Side},
    layers::{ExpectToken, HandshakeLayer, IdleTimeoutLayer, Token, TransformLayer, map_bytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::test]
async fn proxy() {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = backend.local_addr().unwrap().to_string();
    let relay = Connector::server_to_socket(
        Listen::bind("127.0.0.1:0").await.unwrap(),
        Dial::to(&target).unwrap(),
    )
    .side_a(HandshakeLayer::new(ExpectToken::new(
        Token::new("x").unwrap(),
    )))
    .side_b(HandshakeLayer::new(|conn: Conn<BoxIo>| async move {
        Ok::<_, std::io::Error>(conn)
    }))
    .before_join(|pair: BoxPair| async move {
        Ok::<_, std::io::Error>(
            TransformLayer::new()
                .a_to_b(|| map_bytes(|bytes| bytes.to_ascii_uppercase()))
                .apply(pair),
        )
    })
    .pair(IdleTimeoutLayer::new(std::time::Duration::from_secs(5)))
    .max_pairs(3)
    .start();
    let mut client = TcpStream::connect(relay.local_addr(Side::A).unwrap())
        .await
        .unwrap();
    client.write_all(b"x\nhello").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut server, _) = backend.accept().await.unwrap();
    let mut heard = String::new();
    server.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "HELLO");
    server.write_all(b"bye").await.unwrap();
    drop(server);
    heard.clear();
    client.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "bye");
    relay.close().await.unwrap();
    println!("{}", relay.snapshot());
}

#[tokio::test]
async fn rendezvous() {
    let relay = Connector::server_to_server(
        Listen::bind("127.0.0.1:0").await.unwrap(),
        Listen::bind("127.0.0.1:0").await.unwrap(),
    )
    .once()
    .start();
    let mut a = TcpStream::connect(relay.local_addr(Side::A).unwrap())
        .await
        .unwrap();
    a.write_all(b"early").await.unwrap();
    let mut b = TcpStream::connect(relay.local_addr(Side::B).unwrap())
        .await
        .unwrap();
    let mut heard = [0; 5];
    b.read_exact(&mut heard).await.unwrap();
    drop(a);
    drop(b);
    relay.done().await.unwrap();
    println!("{}", relay.snapshot());
}
