//! `vsock-connect=PORT`: a port of a virtual machine behind the Unix socket of its hypervisor.

use couplet_protocols::VsockConnect;

use super::{Context, Does, On, SideLayerSpec, SideOption, Value};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static VSOCK_CONNECT: SideOption = SideOption {
    name: NAME,
    on: On::Dial,
    value: Value::Needed("PORT"),
    help: "of a Unix socket of Firecracker or cloud-hypervisor: a port of the machine (CONNECT PORT)",
    settings: &[],
    does: Does::Layer(layer),
};

pub(crate) const NAME: &str = "vsock-connect";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let port = given.needed()?.parse(|text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse().ok().filter(|port| digits && *port < u32::MAX);
        port.ok_or_else(|| {
            let message = format!("`{text}` is not a port of vsock");
            Mistake::new(message, "a number from 0 to 4294967294")
        })
    })?;
    let layer = context.handshakes.layer(VsockConnect::new(port));
    Ok(LayerSpec::handshake(NAME, layer)
        .set("port", port, Source::Side)
        .bounded(context))
}
