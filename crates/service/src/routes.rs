//! The gRPC services of a process, with their names: reflection and health say which ones are really here.

use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

/// Built like `tonic::service::Routes`: `Routes::new(first).add_service(second)`.
#[derive(Clone, Default)]
pub struct Routes {
    pub(crate) inner: tonic::service::Routes,
    pub(crate) names: Vec<&'static str>,
}

impl Routes {
    /// Routes to one service.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self::default().add_service(service)
    }

    /// Routes to one more.
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.inner = self.inner.add_service(service);
        self.names.push(S::NAME);
        self
    }
}
