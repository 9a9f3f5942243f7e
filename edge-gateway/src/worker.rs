//! What each Actix worker has for itself: its channels and its knowledge of how the services are.

use std::sync::Arc;

use crate::edge::Edge;
use crate::health::Readiness;
use crate::upstream::Channels;

pub(crate) struct Worker {
    pub(crate) edge: Arc<Edge>,
    pub(crate) channels: Channels,
    pub(crate) readiness: Readiness,
}

impl Worker {
    /// Must run on the worker's own runtime, which its channels then live on.
    pub(crate) fn new(edge: Arc<Edge>) -> anyhow::Result<Self> {
        let channels = Channels::connect(&edge.endpoints_of)?;
        Ok(Self {
            edge,
            channels,
            readiness: Readiness::default(),
        })
    }
}
