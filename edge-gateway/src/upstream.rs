//! The services behind the edge: which package is where. The endpoints of an address are found by `directory.rs`, and
//! chosen from for each call by `pool.rs`.

mod address;
mod destinations;
mod directory;
mod endpoints;
mod failure;
mod kubernetes;
mod load;
mod pool;

mod connection;

use anyhow::{Context, anyhow};
use prost_reflect::DescriptorPool;
use service::config::Environment;

pub(crate) use address::Address;
pub(crate) use connection::{Connection, File};
pub(crate) use destinations::{Destination, Destinations};
pub(crate) use directory::Directory;
pub use directory::Finding;
pub(crate) use endpoints::Endpoints;
pub(crate) use failure::ConnectionFailure;
pub use kubernetes::KubernetesApi;
pub(crate) use pool::{Picked, Ticket};

/// Where the services of one proto package are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// The package, such as `bookmesh.auth.v1`.
    pub package: String,
    /// The address: `http://127.0.0.1:50051`, several of these with commas, or `kubernetes://namespace/service:port-name`.
    pub address: String,
}

impl Upstream {
    pub(crate) fn parsed_address(&self) -> anyhow::Result<Address> {
        let address = self.address.parse::<Address>();
        address.with_context(|| format!("the address of {}", self.package))
    }
}

/// Names the upstream of a package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UpstreamIndex(pub(crate) usize);

/// The upstreams of all packages of `pool` that have services: `example.books.v1` is at `BOOKMESH_BOOKS_ADDRESS`, or
/// at `BOOKMESH_BOOK_ADDRESS` when only that is set.
pub(crate) fn from_environment(environment: &mut Environment, pool: &DescriptorPool) -> Option<Vec<Upstream>> {
    let mut packages: Vec<String> = pool
        .services()
        .map(|service| service.package_name().to_owned())
        .collect();
    packages.sort();
    packages.dedup();
    let addresses: Vec<Option<Upstream>> = packages
        .into_iter()
        .map(|package| upstream_of(environment, package))
        .collect();
    addresses.into_iter().collect()
}

fn upstream_of(environment: &mut Environment, package: String) -> Option<Upstream> {
    let parts: Vec<&str> = package.split('.').collect();
    let name = match parts.as_slice() {
        [.., name, version] if version.starts_with('v') => *name,
        [.., name] => *name,
        [] => "",
    }
    .to_ascii_uppercase();
    let variable = format!("BOOKMESH_{name}_ADDRESS");
    let singular = format!("BOOKMESH_{}_ADDRESS", name.strip_suffix('S').unwrap_or(&name));
    let address: Option<String> = match environment.optional(&variable)? {
        Some(address) => Some(address),
        None => environment.optional(&singular)?,
    };
    let Some(address) = address else {
        return environment.wrong(&variable, format!("is missing, as is {singular}"));
    };
    match address.parse::<Address>() {
        Ok(_) => Some(Upstream { package, address }),
        Err(error) => environment.wrong(&variable, error.to_string()),
    }
}

/// Which upstream serves a package.
pub(crate) fn find(upstreams: &[Upstream], package: &str) -> anyhow::Result<UpstreamIndex> {
    let index = upstreams.iter().position(|upstream| upstream.package == package);
    index
        .map(UpstreamIndex)
        .ok_or_else(|| anyhow!("package {package} has no address"))
}
