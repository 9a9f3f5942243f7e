//! Finds the endpoints of addresses. Whoever asks for the same address gets the same endpoints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use service::config::Environment;

use super::Address;
use super::endpoints::Endpoints;
use super::kubernetes::{self, KubernetesApi};

/// Where to look for endpoints, and what is near.
#[derive(Clone, Default, Debug)]
pub struct Finding {
    /// The edge's own zone: endpoints in it come first.
    pub zone: Option<String>,
    /// Where EndpointSlices are watched.
    pub kubernetes: Option<KubernetesApi>,
}

impl Finding {
    /// Reads `EDGE_ZONE` and where the Kubernetes API is.
    pub(crate) fn from_environment(environment: &mut Environment) -> Option<Self> {
        let zone = environment.optional("EDGE_ZONE");
        let kubernetes = KubernetesApi::from_environment(environment);
        Some(Self {
            zone: zone?,
            kubernetes: kubernetes?,
        })
    }
}

pub(crate) struct Directory {
    finding: Finding,
    known: Mutex<HashMap<Address, Weak<Endpoints>>>,
}

impl Directory {
    pub(crate) fn new(finding: Finding) -> Self {
        Self {
            finding,
            known: Mutex::default(),
        }
    }

    pub(crate) fn endpoints(&self, address: &Address) -> anyhow::Result<Arc<Endpoints>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, endpoints| endpoints.strong_count() > 0);
        if let Some(endpoints) = known.get(address).and_then(Weak::upgrade) {
            return Ok(endpoints);
        }
        let endpoints = match address {
            Address::Static(addresses) => Arc::new(Endpoints::fixed(addresses)),
            Address::Kubernetes(service_port) => {
                let Finding { zone, kubernetes } = &self.finding;
                kubernetes::watch(kubernetes.as_ref(), service_port, zone.as_deref())?
            }
        };
        known.insert(address.clone(), Arc::downgrade(&endpoints));
        Ok(endpoints)
    }
}
