//! The services behind the edge: which package is where, and the channels of one worker to them.

mod connection;

use std::time::Duration;

use anyhow::{Context, anyhow};
use prost_reflect::DescriptorPool;
use service::config::Environment;

pub(crate) use connection::Connection;

/// Where the services of one proto package are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// The package, such as `bookmesh.auth.v1`.
    pub package: String,
    /// The address, such as `http://127.0.0.1:50051`.
    pub address: String,
}

/// Names the upstream of a package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UpstreamIndex(usize);

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
    match address.parse::<http::Uri>() {
        Ok(uri) if uri.host().is_some() => Some(Upstream { package, address }),
        _ => environment.wrong(&variable, "is no address such as http://127.0.0.1:50051"),
    }
}

/// Which upstream serves a package.
pub(crate) fn find(upstreams: &[Upstream], package: &str) -> anyhow::Result<UpstreamIndex> {
    let index = upstreams.iter().position(|upstream| upstream.package == package);
    index
        .map(UpstreamIndex)
        .ok_or_else(|| anyhow!("package {package} has no address"))
}

/// The channels to each upstream. They live on the runtime of the worker that made them: a call then wakes no other thread.
pub(crate) struct Channels {
    calls: Vec<Connection>,
    /// A connection has room for so many calls at once, and streams last: with their own, they never take the place of
    /// a call that would be over in a millisecond. It connects at the first stream.
    streams: Vec<Connection>,
}

impl Channels {
    pub(crate) fn connect(upstreams: &[Upstream]) -> anyhow::Result<Self> {
        Ok(Self {
            calls: connect(upstreams)?,
            streams: connect(upstreams)?,
        })
    }

    pub(crate) fn for_calls(&self, upstream: UpstreamIndex) -> Connection {
        self.calls[upstream.0].clone()
    }

    pub(crate) fn for_streams(&self, upstream: UpstreamIndex) -> Connection {
        self.streams[upstream.0].clone()
    }

    /// One for each upstream, in their order.
    pub(crate) fn all(&self) -> &[Connection] {
        &self.calls
    }
}

/// Packages at the same address share a channel.
fn connect(upstreams: &[Upstream]) -> anyhow::Result<Vec<Connection>> {
    let mut channels: Vec<Connection> = Vec::with_capacity(upstreams.len());
    for (index, upstream) in upstreams.iter().enumerate() {
        let same_address = upstreams[..index]
            .iter()
            .position(|other| other.address == upstream.address);
        let channel = match same_address {
            Some(other) => channels[other].clone(),
            None => Connection::new(&upstream.address, Duration::from_secs(2))
                .with_context(|| format!("the address of {}", upstream.package))?,
        };
        channels.push(channel);
    }
    Ok(channels)
}
