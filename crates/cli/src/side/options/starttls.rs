//! `starttls=…`: what stands before TLS in protocols that begin in the clear.

use couplet_protocols::{StartTls, StartTlsAccept, StartTlsConnect};

use super::{Context, Does, On, SideLayerSpec, SideOption, Value};
use crate::{
    layer_spec::{LayerSpec, Source},
    mistake::Mistake,
    side::Given,
};

pub(super) static STARTTLS: SideOption = SideOption {
    name: NAME,
    on: On::Either,
    value: Value::Needed("postgres|smtp"),
    help: "TLS of PostgreSQL or SMTP, which begin in the clear: on listen answer the client, on dial ask the server",
    settings: &[],
    does: Does::Layer(layer),
};

const NAME: &str = "starttls";

fn layer(given: &Given<'_>, context: &Context<'_>) -> Result<SideLayerSpec, Mistake> {
    let word = given.needed()?;
    let protocol = match word.text {
        "postgres" => StartTls::Postgres,
        "smtp" => StartTls::Smtp,
        other => {
            let message = format!("`{other}` is no protocol of `starttls`");
            return Err(word.unknown(message, &["postgres", "smtp"]));
        }
    };
    let spec = match context.endpoint.is_dialled() {
        true => {
            let layer = context.handshakes.layer(StartTlsConnect::new(protocol));
            LayerSpec::handshake(NAME, layer)
        }
        false => {
            let layer = context.handshakes.layer(StartTlsAccept::new(protocol));
            LayerSpec::handshake(NAME, layer)
        }
    };
    Ok(spec
        .set("protocol", word.text, Source::Side)
        .bounded(context))
}
