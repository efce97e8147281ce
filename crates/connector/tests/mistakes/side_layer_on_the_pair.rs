use couplet_connector::{
    BoxError, Connector, Dial, Listen,
    layers::{ExpectToken, HandshakeLayer, Token},
};

fn start(listen: Listen, dial: Dial) -> Result<(), BoxError> {
    Connector::listen_dial(listen, dial)
        .layer_pair(HandshakeLayer::new(ExpectToken::new(Token::new("secret")?)))
        .start();
    Ok(())
}

fn main() {}
