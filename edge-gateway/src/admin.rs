//! What operators see of a running edge, on the admin port alone: `/admin` and the pages below it. No secret is in it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::Service;

use crate::edge::Edge;
use crate::lifecycle::{Lifecycle, full_date};
use crate::policy::{Access, Keeping, Policy, Sharing};

/// Its path, what it is about, and what it shows.
type Page = (&'static str, &'static str, fn(&Edge) -> Value);

const PAGES: [Page; 6] = [
    ("/admin/routes", "what is served, by whom, for whom", routes),
    ("/admin/policies", "what the contract says of each rpc", policies),
    (
        "/admin/upstreams",
        "where services are and how they do, and kept answers",
        upstreams,
    ),
    (
        "/admin/breakers",
        "workers by the state of each of their breakers",
        breakers,
    ),
    (
        "/admin/limits",
        "the rules in force, and whether they are shared",
        limits,
    ),
    ("/admin/settings", "the settings in force", settings),
];

pub(crate) fn show(service: &Service, edge: &Arc<Edge>) {
    for (path, about, page) in PAGES {
        let edge = Arc::clone(edge);
        service.show(path, about, move || page(&edge));
    }
}

fn routes(edge: &Edge) -> Value {
    let routes = edge.routes.all().iter().zip(&edge.endpoints).enumerate();
    let described = routes.map(|(place, (route, endpoint))| {
        json!({
            "method": route.http_method,
            "path": &*endpoint.template,
            "rpc": route.rpc.full_name(),
            "package": edge.package_of(place),
            "policy": policy(&endpoint.policy),
        })
    });
    described.collect()
}

fn policies(edge: &Edge) -> Value {
    let routes = edge.routes.all().iter().zip(&edge.endpoints);
    let by_rpc = routes.map(|(route, endpoint)| (route.rpc.full_name().to_owned(), policy(&endpoint.policy)));
    Value::Object(by_rpc.collect())
}

fn policy(policy: &Policy) -> Value {
    let (access, scopes) = match &policy.access {
        Access::Public => ("public", [].as_slice()),
        Access::User { scopes, .. } => ("user", scopes.as_slice()),
    };
    json!({
        "access": access,
        "scopes": scopes,
        "rate_class": policy.rate_class.name(),
        "cost": policy.cost,
        "timeout_ms": milliseconds(policy.timeout),
        "max_body_bytes": policy.max_body_bytes,
        "long_running": policy.long_running,
        "hedge_after_ms": policy.hedge_after.map(milliseconds),
        "cache": policy.keeping.as_ref().map(keeping),
        "lifecycle": policy.lifecycle.as_ref().map(lifecycle),
    })
}

fn lifecycle(lifecycle: &Lifecycle) -> Value {
    json!({
        "deprecated_since": lifecycle.deprecated_since.map(full_date),
        "sunset": lifecycle.sunset.map(full_date),
    })
}

fn keeping(keeping: &Keeping) -> Value {
    let sharing = match keeping.sharing {
        Sharing::Everyone => "everyone",
        Sharing::SameUser => "same_user",
    };
    json!({
        "sharing": sharing,
        "max_age_ms": milliseconds(keeping.max_age),
        "stale_while_revalidate_ms": milliseconds(keeping.stale_while_revalidate),
        "stale_if_error_ms": milliseconds(keeping.stale_if_error),
    })
}

fn upstreams(edge: &Edge) -> Value {
    let upstreams = edge.upstreams.iter().zip(&edge.endpoints_of);
    let packages = upstreams.map(|(upstream, endpoints)| {
        let endpoints = endpoints.table();
        let endpoints = endpoints.iter().map(
            |endpoint| json!({"address": endpoint.address, "is_near": endpoint.is_near, "is_down": endpoint.is_down()}),
        );
        json!({
            "package": upstream.package,
            "address": upstream.address,
            "endpoints": endpoints.collect::<Value>(),
        })
    });
    json!({
        "packages": packages.collect::<Value>(),
        "services": edge.figures.snapshot(),
        "cache": edge.cache.state(),
    })
}

fn breakers(edge: &Edge) -> Value {
    let states = edge.figures.snapshot().into_iter();
    let by_upstream = states.map(|state| (state.upstream, json!(state.breakers)));
    Value::Object(by_upstream.collect())
}

fn limits(edge: &Edge) -> Value {
    json!({"rules": edge.settings.load().limits, "redis": edge.limiter.state()})
}

fn settings(edge: &Edge) -> Value {
    json!(**edge.settings.load())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_that_goes_away_says_since_when_and_until_when() {
        let shown = |is_deprecated, since, sunset| {
            let read = Lifecycle::read(is_deprecated, since, sunset).unwrap();
            json!(read.as_ref().map(lifecycle))
        };

        assert_eq!(
            shown(true, "2026-01-01", "2027-01-31"),
            json!({"deprecated_since": "2026-01-01", "sunset": "2027-01-31"})
        );
        assert_eq!(shown(true, "", ""), json!({"deprecated_since": null, "sunset": null}));
        assert_eq!(shown(false, "", ""), json!(null));
    }
}
