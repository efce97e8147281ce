use futures::future::BoxFuture;

use super::{error::Limit, key::Client};

/// The rule of a [`LimitService`](super::LimitService).
pub trait Limiter: Send + Sync + 'static {
    /// The permit of an admitted connection.
    type Permit: Send + Unpin + 'static;
    /// An io that holds the permit for as long as the connection counts.
    type Io<I: Send + 'static>: Send + 'static;

    /// Admits a client if the limit allows it now, and no other client waits.
    fn try_admit(&self, client: Client) -> Option<Self::Permit>;

    /// Admits a client when its turn comes; the client is in the queue from the call on. Cancel-safe.
    fn admit(&self, client: Client) -> BoxFuture<'static, Self::Permit>;

    fn hold<I: Send + 'static>(io: I, permit: Self::Permit) -> Self::Io<I>;

    fn limit(&self) -> Limit;
}
