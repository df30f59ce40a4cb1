//! Reports when the HTTP client connects, so that a user can tell a slow network from a slow server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Called with `true` when a connection attempt starts, and with `false` when it succeeds, fails or is canceled.
pub(crate) type Connecting = Arc<dyn Fn(bool) + Send + Sync>;

/// Wraps the client's connector.
#[derive(Clone)]
pub(super) struct ConnectingLayer(pub(super) Connecting);

/// A connector that reports its attempts.
#[derive(Clone)]
pub(super) struct ConnectingService<S> {
    connector: S,
    observer: Connecting,
}

impl<S> Layer<S> for ConnectingLayer {
    type Service = ConnectingService<S>;

    fn layer(&self, connector: S) -> Self::Service {
        ConnectingService { connector, observer: self.0.clone() }
    }
}

impl<S, R> Service<R> for ConnectingService<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let attempt = Attempt::begin(self.observer.clone());
        let connection = self.connector.call(destination);
        Box::pin(async move {
            let _over = attempt;
            connection.await
        })
    }
}

/// A connection attempt. The client drops its future to cancel it.
pub(super) struct Attempt(Connecting);

impl Attempt {
    pub(super) fn begin(observer: Connecting) -> Self {
        observer(true);
        Self(observer)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        (self.0)(false);
    }
}
