//! What a dial of every kind has.

/// The endpoints that a dial makes, and that it is a service, by its `connect`.
macro_rules! dials {
    ($dial:ty, $io:ty, $error:ty) => {
        impl $dial {
            /// One connection: [`once`](crate::once).
            pub fn once(self) -> $crate::dial::Once<Self> {
                $crate::dial::once(self)
            }

            /// One connection after the other: [`repeat`](crate::repeat).
            pub fn repeat(self, backoff: $crate::dial::Backoff) -> $crate::dial::Repeat<Self> {
                $crate::dial::repeat(self, backoff)
            }

            /// Up to `n` connections waiting to be joined: [`pool`](crate::pool), with the default
            /// [`Backoff`](crate::Backoff).
            pub fn pool(self, n: usize) -> $crate::dial::Pool<Self> {
                $crate::dial::pool(self, n, $crate::dial::Backoff::new())
            }
        }

        impl<R> tower_service::Service<R> for $dial {
            type Response = $crate::Conn<$io>;
            type Error = $error;
            type Future = futures::future::BoxFuture<'static, Result<$crate::Conn<$io>, $error>>;

            /// Always ready: a dial bounds only its own time.
            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), $error>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: R) -> Self::Future {
                let dial = self.clone();
                Box::pin(async move { dial.connect().await })
            }
        }
    };
}

pub(crate) use dials;
