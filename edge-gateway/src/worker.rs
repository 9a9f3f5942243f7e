//! What each Actix worker has for itself: its connections, its line to Redis and its knowledge of how the services are.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use crate::edge::Edge;
use crate::health::Readiness;
use crate::limit::Link;
use crate::observe::Sightings;
use crate::resilience::Resilience;
use crate::routing::{Asked, Table, TargetIndex};
use crate::upstream::{Destination, Destinations, Endpoints};

pub(crate) struct Worker {
    pub(crate) edge: Arc<Edge>,
    pub(crate) destinations: Destinations,
    pub(crate) link: Link,
    pub(crate) readiness: Readiness,
    pub(crate) resilience: Resilience,
    pub(crate) sightings: Sightings,
    targets: RefCell<Targets>,
}

/// Where all attempts of a call go, also when the routing changes meanwhile.
pub(crate) enum Way {
    /// To its package's own address.
    Own(Rc<Destination>),
    /// Nothing when the address cannot be used.
    Elsewhere(Option<Rc<Destination>>),
}

/// The destinations of a routing table, in its order.
#[derive(Default)]
struct Targets {
    table: Arc<Table>,
    destinations: Vec<Option<Rc<Destination>>>,
}

impl Worker {
    /// One of `workers`. Must run on the worker's own runtime, which its connections then live on.
    pub(crate) fn new(edge: Arc<Edge>, workers: NonZeroUsize) -> anyhow::Result<Self> {
        let destinations = Destinations::connect(&edge.endpoints_of)?;
        let link = edge.limiter.link();
        let resilience = Resilience::new(&edge, workers);
        let sightings = edge.observations.sightings();
        Ok(Self {
            edge,
            link,
            destinations,
            readiness: Readiness::default(),
            resilience,
            sightings,
            targets: RefCell::default(),
        })
    }

    /// Where a call goes by the table.
    pub(crate) fn way(&self, table: &Arc<Table>, asked: &Asked<'_>) -> Way {
        // Even when nothing goes there: what is no longer in the table must not be kept alive.
        self.targets.borrow_mut().follow(table);
        match table.target(asked) {
            None => Way::Own(Rc::clone(self.destinations.to(asked.upstream))),
            Some(target) => Way::Elsewhere(self.target(table, target)),
        }
    }

    pub(crate) fn target(&self, table: &Arc<Table>, target: TargetIndex) -> Option<Rc<Destination>> {
        let mut targets = self.targets.borrow_mut();
        targets.follow(table);
        targets.destinations[target.0].clone()
    }
}

impl Way {
    pub(crate) fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Own(destination) => Some(destination),
            Self::Elsewhere(destination) => destination.as_deref(),
        }
    }
}

impl Targets {
    /// What is in both tables keeps its connections. A call under way to one that is gone keeps its connection.
    fn follow(&mut self, table: &Arc<Table>) {
        if Arc::ptr_eq(&self.table, table) {
            return;
        }
        let old = std::mem::take(self);
        let destinations = table.targets().iter().map(|endpoints| {
            let place = old
                .table
                .targets()
                .iter()
                .position(|other| Arc::ptr_eq(other, endpoints));
            match place.and_then(|place| old.destinations[place].clone()) {
                Some(destination) => Some(destination),
                None => connect(endpoints),
            }
        });
        self.destinations = destinations.collect();
        self.table = Arc::clone(table);
    }
}

/// Addresses are read with the settings, so this does not fail.
fn connect(endpoints: &Arc<Endpoints>) -> Option<Rc<Destination>> {
    let destination = Destination::connect(endpoints);
    let destination = destination.inspect_err(|error| {
        tracing::error!(error = format!("{error:#}"), "an address of the routing cannot be used");
    });
    destination.ok().map(Rc::new)
}
