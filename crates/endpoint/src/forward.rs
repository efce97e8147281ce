/// Implements [`AsyncWrite`](tokio::io::AsyncWrite) for a wrapper whose writes go straight
/// through to one of its fields, vectored writes included.
///
/// For wrappers that only change or watch what is *read*:
///
/// ```
/// use tokio::io::AsyncWrite;
///
/// struct Watched<I> { io: I }
///
/// couplet_endpoint::forward_async_write!(impl[I: AsyncWrite + Unpin] for Watched<I>, io);
/// ```
#[macro_export]
macro_rules! forward_async_write {
    (impl[$($generics:tt)*] for $wrapper:ty, $field:tt) => {
        #[warn(clippy::missing_trait_methods)]
        impl<$($generics)*> ::tokio::io::AsyncWrite for $wrapper
        where
            Self: Unpin,
        {
            fn poll_write(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.$field).poll_write(cx, buf)
            }

            fn poll_flush(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.$field).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.$field).poll_shutdown(cx)
            }

            fn poll_write_vectored(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.$field).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }
        }
    };
}
