use super::*;

#[tokio::test]
async fn an_unresponsive_target_takes_only_its_share_of_dials() {
    let dial = Dial::to("localhost:1").unwrap().max_per_target(1);
    let first = dial.connect();
    tokio::pin!(first);
    // Its name is looked up.
    assert!(futures::poll!(first.as_mut()).is_pending());
    let error = dial.clone().connect().await.unwrap_err();
    assert!(error.is_busy(), "{error}");
    let other = dial
        .clone()
        .retarget("127.0.0.1:1".parse::<DialAddr>().unwrap());
    let error = other.connect().await.unwrap_err();
    assert!(!error.is_busy(), "{error}");
    assert!(first.await.is_err());
    let error = dial.connect().await.unwrap_err();
    assert!(!error.is_busy(), "{error}");
}

#[tokio::test]
async fn a_source_of_another_machine_is_named() {
    // RFC 5737.
    let source: IpAddr = [192, 0, 2, 1].into();
    let dial = Dial::new(SocketAddr::from(([127, 0, 0, 1], 9))).source(source);
    let error = dial.connect().await.unwrap_err();
    let (_, error) = error.failed().next().unwrap();
    assert_eq!(
        error.to_string(),
        "source 192.0.2.1 is not an address of this machine"
    );
}

#[tokio::test]
async fn an_address_that_is_not_permitted_is_passed_over() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target: DialAddr = format!("localhost:{port}").parse().unwrap();
    let only_ipv4 = |addr: SocketAddr| match addr.is_ipv4() {
        true => Ok(()),
        false => Err("only IPv4"),
    };
    let dial = Dial::new(target).permit(only_ipv4);
    assert!(dial.connect().await.unwrap().info.peer.unwrap().is_ipv4());
    let error = dial
        .permit(|_| Err("none at all"))
        .connect()
        .await
        .unwrap_err();
    let mut failed = error.failed().map(|(_, error)| error);
    assert!(failed.all(|error| error.kind() == io::ErrorKind::PermissionDenied));
    assert!(
        error
            .failed()
            .any(|(_, error)| error.to_string() == "none at all")
    );
}
