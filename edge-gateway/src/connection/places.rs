//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::edge::Edge;

/// By address, for as long as the settings limit that.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<IpAddr, u32>>);

/// One connection's.
pub(super) struct Place {
    edge: Arc<Edge>,
    /// When its address is counted.
    address: Option<IpAddr>,
}

impl Places {
    /// Nothing when the address has all that it may have. Only accepting takes the lock, and only where there is a limit.
    pub(super) fn take(edge: &Arc<Edge>, address: Option<IpAddr>, maximum: u32) -> Option<Place> {
        let address = address.filter(|_| maximum > 0).map(|address| address.to_canonical());
        if let Some(address) = address {
            let mut places = edge.places.0.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = places.entry(address).or_default();
            if *taken >= maximum {
                edge.connection_figures.refused();
                return None;
            }
            *taken += 1;
        }
        edge.connection_figures.opened();
        let edge = Arc::clone(edge);
        Some(Place { edge, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.edge.connection_figures.ended();
        let Some(address) = self.address else { return };
        let mut places = self.edge.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&address);
            }
        }
    }
}
