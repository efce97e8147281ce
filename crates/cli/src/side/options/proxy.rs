//! `socks5` and `connect`: a listening side is a proxy, and its clients name the target.

use couplet_connector::{
    Conn,
    endpoint::{BoxIo, Chain, Io},
    layers::{Handshake, HandshakeLayer, Replaceable},
    stack::{SideStack, Slot},
};
use couplet_protocols::{HttpConnectAccept, SocksAccept, proxy::Users};
use tower::Layer;

use super::{Context, Does, On, SideLayerSpec, SideOption, SideSetting, Value, of_list, secret};
use crate::{
    credential,
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static SOCKS5: SideOption = SideOption {
    name: "socks5",
    on: On::Listen,
    value: Value::None,
    help: "be a SOCKS5 proxy; `dial:asked` dials the target of each client",
    settings: &[USERS],
    does: Does::Layer(|given, context| {
        layer(given, context, SocksAccept::new(), SocksAccept::users)
    }),
};

pub(super) static CONNECT: SideOption = SideOption {
    name: "connect",
    on: On::Listen,
    value: Value::None,
    help: "be an HTTP proxy for CONNECT; `dial:asked` dials the target of each client",
    settings: &[USERS],
    does: Does::Layer(|given, context| {
        layer(
            given,
            context,
            HttpConnectAccept::new(),
            HttpConnectAccept::users,
        )
    }),
};

/// The names of the options that make a side a proxy, and of their layers.
pub(crate) const NAMES: [&str; 2] = ["socks5", "connect"];

/// The name of the setting of either.
pub(crate) const USERS_NAME: &str = "users";

const USERS: SideSetting = SideSetting {
    name: USERS_NAME,
    value: "@FILE",
    help: "accept only these users, `USER:PASSWORD` a line",
    many: false,
};

fn layer<H, I>(
    given: &Given<'_>,
    context: &Context<'_>,
    open: H,
    with_users: fn(H, Users) -> H,
) -> Result<SideLayerSpec, Mistake>
where
    H: Handshake<Conn<BoxIo>, Output = Conn<I>> + Clone + Send + Sync + 'static,
    I: Io,
    HandshakeLayer<H>: Layer<Slot, Service: SideStack + Clone>,
    HandshakeLayer<Replaceable<H>>: Layer<Slot, Service: SideStack + Clone>,
{
    let option = NAMES.into_iter().find(|name| *name == given.name.text);
    let name = option.expect("it is one of the two");
    let Some(file) = given.setting(USERS_NAME) else {
        let layer = context.handshakes.layer(open);
        return Ok(LayerSpec::handshake(name, layer)
            .set(USERS_NAME, "all, without a password", Source::Default)
            .bounded(context));
    };
    let (accept, again) = of_list(file, move |value| {
        Ok(with_users(open.clone(), users(name, value)?))
    })?;
    let layer = context.handshakes.layer(accept);
    Ok(LayerSpec::handshake(name, layer)
        .set(USERS_NAME, &file.text[1..], Source::Side)
        .bounded(context)
        .on_reload(again))
}

fn users(option: &str, value: &str) -> Result<Users, Mistake> {
    let Some(path) = value.strip_prefix('@') else {
        return Err(Mistake::new(
            "every user of this machine can read a password on the command line",
            format!("write users to a file, `USER:PASSWORD` a line: `{option}.users=@FILE`"),
        ));
    };
    let path = credential::path(path)?;
    secret::check_mode(path.as_ref().as_ref())?;
    Users::read(&*path).map_err(|error| {
        Mistake::new(
            format!("`{path}`: {}", Chain(&error)),
            "`USER:PASSWORD` a line; blank lines and those that begin with `#` are skipped",
        )
    })
}
