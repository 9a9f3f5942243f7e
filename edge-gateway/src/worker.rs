//! What each Actix worker has for itself: its channels, its line to Redis and its knowledge of how the services are.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::edge::Edge;
use crate::health::Readiness;
use crate::limit::Link;
use crate::resilience::Resilience;
use crate::upstream::Channels;

pub(crate) struct Worker {
    pub(crate) edge: Arc<Edge>,
    pub(crate) channels: Channels,
    pub(crate) link: Link,
    pub(crate) readiness: Readiness,
    pub(crate) resilience: Resilience,
}

impl Worker {
    /// One of `workers`. Must run on the worker's own runtime, which its channels then live on.
    pub(crate) fn new(edge: Arc<Edge>, workers: NonZeroUsize) -> anyhow::Result<Self> {
        let channels = Channels::connect(&edge.upstreams)?;
        let link = edge.limiter.link();
        let resilience = Resilience::new(&edge, workers);
        Ok(Self {
            edge,
            link,
            channels,
            readiness: Readiness::default(),
            resilience,
        })
    }
}
