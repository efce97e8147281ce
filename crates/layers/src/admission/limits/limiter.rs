use futures::future::BoxFuture;

use super::{error::Limit, key::Client};

/// What a [`LimitService`](super::LimitService) asks.
pub trait Limiter: Send + Sync + 'static {
    /// What an admitted connection holds.
    type Permit: Send + Unpin + 'static;
    /// An io that holds it, for as long as it has to.
    type Io<I: Send + 'static>: Send + 'static;

    /// Admits a client if the limit lets it at once, and nobody waits before it.
    fn try_admit(&self, client: Client) -> Option<Self::Permit>;

    /// Admits a client when its turn has come: it is in line from now on. Cancel-safe.
    fn admit(&self, client: Client) -> BoxFuture<'static, Self::Permit>;

    fn hold<I: Send + 'static>(io: I, permit: Self::Permit) -> Self::Io<I>;

    fn limit(&self) -> Limit;
}
