//! Tells when a connection is being made, so that a person who waits can see that it is the network
//! that is slow, and not the server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Told `true` when a connection is begun, and `false` when it stands or was given up.
pub(crate) type Connecting = Arc<dyn Fn(bool) + Send + Sync>;

/// Stands around the client's connector.
#[derive(Clone)]
pub(super) struct Tells(pub(super) Connecting);

/// A connector that tells of itself.
#[derive(Clone)]
pub(super) struct Telling<S> {
    connector: S,
    told: Connecting,
}

impl<S> Layer<S> for Tells {
    type Service = Telling<S>;

    fn layer(&self, connector: S) -> Self::Service {
        Telling { connector, told: self.0.clone() }
    }
}

impl<S, R> Service<R> for Telling<S>
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
        let over = Over(self.told.clone());
        (over.0)(true);
        let connection = self.connector.call(destination);
        Box::pin(async move {
            let _over = over;
            connection.await
        })
    }
}

/// However it ends: the client drops a connection that it finds no use for any more.
struct Over(Connecting);

impl Drop for Over {
    fn drop(&mut self) {
        (self.0)(false);
    }
}
