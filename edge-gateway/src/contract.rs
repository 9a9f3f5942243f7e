//! A descriptor set, compiled: plans, routes, and what the edge does for each route.

use std::collections::HashMap;

use anyhow::{Context, anyhow};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use transcode::{Plans, Routes};

use crate::endpoint::Endpoint;
use crate::policy::Policy;

pub(crate) struct Contract {
    pub(crate) pool: DescriptorPool,
    pub(crate) plans: Plans,
    pub(crate) routes: Routes,
    /// One for each route, in the same order.
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Contract {
    /// Compiles every RPC of an encoded `FileDescriptorSet` that has an HTTP rule and a policy for the outside.
    pub(crate) fn compile(descriptor_set: &[u8]) -> anyhow::Result<Self> {
        let pool = DescriptorPool::decode(descriptor_set).context("reading the descriptor set")?;
        let plans = Plans::compile(&pool);
        let policies = policies(&pool)?;
        let routes =
            Routes::compile(&pool, &plans, |rpc| policies.contains_key(rpc.full_name())).map_err(|errors| {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                anyhow!("HTTP rules that cannot be served:\n{}", lines.join("\n"))
            })?;
        let mut endpoints = Vec::with_capacity(routes.all().len());
        for route in routes.all() {
            let policy = policies[route.rpc.full_name()].clone();
            let endpoint = Endpoint::of(route, policy, &routes);
            endpoints.push(endpoint.with_context(|| format!("serving {}", route.rpc.full_name()))?);
        }
        Ok(Self {
            pool,
            plans,
            routes,
            endpoints,
        })
    }
}

pub(crate) fn rpcs(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> {
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
}

fn policies(pool: &DescriptorPool) -> anyhow::Result<HashMap<String, Policy>> {
    let mut policies = HashMap::new();
    for rpc in rpcs(pool) {
        if let Some(policy) = Policy::of(pool, &rpc)? {
            policies.insert(rpc.full_name().to_owned(), policy);
        }
    }
    Ok(policies)
}
