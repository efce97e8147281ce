use std::{fmt, sync::Arc};

use couplet_endpoint::{BoxError, BoxIo, Conn};
use tower::{
    Layer, Service, ServiceExt,
    util::{BoxCloneService, Either},
};

use crate::Seat;

/// A side stack whose type is forgotten.
pub type BoxSideService<R> = Seat<BoxCloneService<Conn<BoxIo>, R, BoxError>>;

/// The layers of a side, top to bottom, as a list: see the [module](super).
#[derive(Clone, Default)]
pub struct SideLayers(Vec<Arc<dyn SideLayer>>);

/// What a side stack answers: nothing where the side brings connections into the pairing, the
/// connection where it is dialled for the other.
pub trait SideResponse: sealed::SideResponse {}

/// A layer that fits both kinds of side.
trait SideLayer: Send + Sync {
    fn on_place(&self, inner: BoxSideService<()>) -> BoxSideService<()>;

    fn on_arrival(&self, inner: BoxSideService<Conn<BoxIo>>) -> BoxSideService<Conn<BoxIo>>;
}

/// The bounds of a service that can be boxed.
pub trait Boxable<R>:
    Service<Conn<BoxIo>, Response = R, Error: Into<BoxError>, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

// ===== impl SideLayers =====

impl SideLayers {
    /// With none.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a layer below those that are there.
    pub fn push<L>(&mut self, layer: L)
    where
        L: Layer<BoxSideService<()>, Service: Boxable<()>>
            + Layer<BoxSideService<Conn<BoxIo>>, Service: Boxable<Conn<BoxIo>>>
            + Send
            + Sync
            + 'static,
    {
        self.0.push(Arc::new(layer));
    }

    /// Adds the layers of another list below those that are there.
    pub fn append(&mut self, layers: Self) {
        self.0.extend(layers.0);
    }
}

impl<S> Layer<S> for SideLayers
where
    S: Service<Conn<BoxIo>, Response: SideResponse, Error = BoxError, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    type Service = Either<BoxSideService<S::Response>, S>;

    fn layer(&self, innermost: S) -> Self::Service {
        if self.0.is_empty() {
            return Either::Right(innermost);
        }
        let innermost = boxed(innermost);
        let layers = self.0.iter().rev();
        Either::Left(layers.fold(innermost, |inner, layer| {
            <S::Response as sealed::SideResponse>::layered(&**layer, inner)
        }))
    }
}

impl fmt::Debug for SideLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SideLayers({})", self.0.len())
    }
}

// ===== impl SideLayer =====

impl<L> SideLayer for L
where
    L: Layer<BoxSideService<()>, Service: Boxable<()>>
        + Layer<BoxSideService<Conn<BoxIo>>, Service: Boxable<Conn<BoxIo>>>
        + Send
        + Sync,
{
    fn on_place(&self, inner: BoxSideService<()>) -> BoxSideService<()> {
        boxed(self.layer(inner))
    }

    fn on_arrival(&self, inner: BoxSideService<Conn<BoxIo>>) -> BoxSideService<Conn<BoxIo>> {
        boxed(self.layer(inner))
    }
}

fn boxed<R: 'static>(service: impl Boxable<R>) -> BoxSideService<R> {
    Seat(service.map_err(Into::into).boxed_clone())
}

impl<S, R> Boxable<R> for S where
    S: Service<Conn<BoxIo>, Response = R, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

// ===== impl SideResponse =====

impl SideResponse for () {}

impl SideResponse for Conn<BoxIo> {}

mod sealed {
    use super::{BoxIo, BoxSideService, Conn, SideLayer};

    /// Which of a layer's two methods is meant.
    #[expect(private_interfaces, reason = "sealed: nobody else calls it")]
    pub trait SideResponse: Sized + 'static {
        fn layered(layer: &dyn SideLayer, inner: BoxSideService<Self>) -> BoxSideService<Self>;
    }

    #[expect(private_interfaces, reason = "sealed: nobody else calls it")]
    impl SideResponse for () {
        fn layered(layer: &dyn SideLayer, inner: BoxSideService<Self>) -> BoxSideService<Self> {
            layer.on_place(inner)
        }
    }

    #[expect(private_interfaces, reason = "sealed: nobody else calls it")]
    impl SideResponse for Conn<BoxIo> {
        fn layered(layer: &dyn SideLayer, inner: BoxSideService<Self>) -> BoxSideService<Self> {
            layer.on_arrival(inner)
        }
    }
}
