/// Implements [`Handshake`](super::Handshake) of a connection by the async method `shake` of a clone,
/// whose future is boxed.
macro_rules! boxed_handshake {
    ($type:ty => $output:ty, $error:ty) => {
        impl<I: couplet_endpoint::Io> $crate::Handshake<couplet_endpoint::Conn<I>> for $type {
            type Output = $output;
            type Error = $error;
            type Future = futures::future::BoxFuture<'static, Result<$output, $error>>;

            fn handshake(&self, conn: couplet_endpoint::Conn<I>) -> Self::Future {
                Box::pin(self.clone().shake(conn))
            }
        }
    };
}

pub(super) use boxed_handshake;
