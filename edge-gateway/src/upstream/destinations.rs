//! The connections of one worker to every upstream.

use std::rc::Rc;
use std::sync::Arc;

use super::UpstreamIndex;
use super::connection::{Connection, Windows};
use super::endpoints::Endpoints;
use super::pool::{Picked, Pool};

/// Where a call can go.
pub(crate) struct Destination {
    calls: Pool,
    /// A connection has room for so many calls at once, and streams last: with their own, they never take the place of
    /// a call that would be over in a millisecond. It connects at the first stream.
    streams: Pool,
}

impl Destination {
    pub(crate) fn connect(endpoints: &Arc<Endpoints>) -> anyhow::Result<Self> {
        Ok(Self {
            calls: Pool::new(endpoints, Windows::CALLS)?,
            streams: Pool::new(endpoints, Windows::STREAMS)?,
        })
    }

    /// An endpoint for one attempt of a call; nothing when none is known.
    pub(crate) fn for_calls(&self) -> Option<Picked> {
        self.calls.pick()
    }

    pub(crate) fn for_streams(&self) -> Option<Picked> {
        let Picked { connection, ticket } = self.streams.pick()?;
        let ticket = ticket.untimed();
        Some(Picked { connection, ticket })
    }
}

/// The destinations of all packages, in the order of the upstreams.
pub(crate) struct Destinations(Vec<Rc<Destination>>);

impl Destinations {
    /// Packages with the same endpoints share a destination.
    pub(crate) fn connect(upstreams: &[Arc<Endpoints>]) -> anyhow::Result<Self> {
        let mut destinations: Vec<Rc<Destination>> = Vec::with_capacity(upstreams.len());
        for (index, endpoints) in upstreams.iter().enumerate() {
            let same = upstreams[..index]
                .iter()
                .position(|other| Arc::ptr_eq(other, endpoints));
            let destination = match same {
                Some(other) => Rc::clone(&destinations[other]),
                None => Rc::new(Destination::connect(endpoints)?),
            };
            destinations.push(destination);
        }
        Ok(Self(destinations))
    }

    pub(crate) fn to(&self, upstream: UpstreamIndex) -> &Rc<Destination> {
        &self.0[upstream.0]
    }

    /// The connections to all endpoints of each upstream, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Vec<Connection>> {
        self.0.iter().map(|destination| destination.calls.connections())
    }
}
