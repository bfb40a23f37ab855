//! Connections to the service: how many there may be, and for how long one may keep its place and say nothing.
//!
//! ```text
//! a place, then accept --> head --> body --> answer --> head --> …
//!                            |        +-- not in time: 408, and closed
//!                            +-- none in time, the first one or a later one: closed
//! ```
//!
//! The time for a head does not run while an answer is on its way: whoever reads a stream, or waits for an answer,
//! stays. It must never let silent callers take the file descriptors that agents need.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{BODY_MS_MAX, CONNECTIONS_MAX, HEAD_MS_MAX};

/// Serves until it is told to close, and what is at work then to its end.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    closed: impl Future<Output = ()>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(HEAD_MS_MAX));
    let mut closed = pin!(closed);
    loop {
        // Who comes when all places are taken waits in the queue of the listener.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (stream, _)) = tokio::select! {
            next = next => next,
            () = &mut closed => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection is closed");
            }
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

/// The whole body of a request, if it came in time.
pub(crate) struct Whole(pub(crate) Result<Bytes, NoBody>);

/// Why there is no body.
pub(crate) enum NoBody {
    /// It did not come, or not all of it.
    TooLate,
    /// It is too large, or broken off.
    Bad(BytesRejection),
}

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let read = Bytes::from_request(request, state);
        let read = timeout(Duration::from_millis(BODY_MS_MAX), read).await;
        Ok(Self(match read {
            Ok(read) => read.map_err(NoBody::Bad),
            Err(_) => Err(NoBody::TooLate),
        }))
    }
}
