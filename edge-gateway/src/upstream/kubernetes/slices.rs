//! EndpointSlices (discovery.k8s.io/v1), as far as they matter here, and the endpoints in all slices of a service.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::upstream::endpoints::FoundEndpoint;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    metadata: SliceMetadata,
    address_type: String,
    endpoints: Option<Vec<SliceEndpoint>>,
    ports: Option<Vec<SlicePort>>,
}

#[derive(Clone, Debug, Deserialize)]
struct SliceMetadata {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct SliceEndpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
    zone: Option<String>,
}

#[derive(Clone, Default, Debug, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct SlicePort {
    name: Option<String>,
    port: Option<u16>,
}

/// A service has several slices, and each change tells of one of them.
#[derive(Default)]
pub(super) struct Slices(BTreeMap<String, EndpointSlice>);

impl Slices {
    pub(super) fn put(&mut self, slice: EndpointSlice) {
        self.0.insert(slice.metadata.name.clone(), slice);
    }

    pub(super) fn remove(&mut self, slice: &EndpointSlice) {
        self.0.remove(&slice.metadata.name);
    }

    /// Those that take calls, each once: while Kubernetes moves an endpoint to another slice, it is in both.
    pub(super) fn found(&self, port: &str, zone: Option<&str>) -> Vec<FoundEndpoint> {
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for slice in self.0.values() {
            let Some(port) = slice.port(port) else { continue };
            for endpoint in slice.usable() {
                let is_near = zone.is_none() || endpoint.zone.as_deref() == zone;
                if let Some(address) = endpoint.addresses.first() {
                    let address = slice.url(address, port);
                    *found.entry(address).or_default() |= is_near;
                }
            }
        }
        let endpoints = found.into_iter();
        endpoints
            .map(|(address, is_near)| FoundEndpoint { address, is_near })
            .collect()
    }
}

impl EndpointSlice {
    fn port(&self, name: &str) -> Option<u16> {
        let mut ports = self.ports.iter().flatten();
        ports.find(|port| port.name.as_deref() == Some(name))?.port
    }

    /// What is not said of being ready means yes.
    fn usable(&self) -> impl Iterator<Item = &SliceEndpoint> {
        let has_ip = matches!(self.address_type.as_str(), "IPv4" | "IPv6");
        let endpoints = self.endpoints.iter().flatten();
        endpoints.filter(move |endpoint| {
            let conditions = &endpoint.conditions;
            has_ip && conditions.ready.unwrap_or(true) && !conditions.terminating.unwrap_or(false)
        })
    }

    fn url(&self, address: &str, port: u16) -> String {
        if self.address_type == "IPv6" {
            format!("http://[{address}]:{port}")
        } else {
            format!("http://{address}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slices(values: &[Value]) -> Slices {
        let mut slices = Slices::default();
        for value in values {
            slices.put(serde_json::from_value(value.clone()).unwrap());
        }
        slices
    }

    fn slice(name: &str, endpoints: &Value) -> Value {
        json!({
            "metadata": {"name": name, "resourceVersion": "1"}, "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "metrics", "port": 9090}, {"name": "grpc", "port": 50051, "protocol": "TCP"}]
        })
    }

    fn addresses(slices: &Slices, zone: Option<&str>) -> Vec<(String, bool)> {
        let found = slices.found("grpc", zone).into_iter();
        found.map(|endpoint| (endpoint.address, endpoint.is_near)).collect()
    }

    fn near(address: &str) -> (String, bool) {
        (format!("http://{address}"), true)
    }

    #[test]
    fn all_slices_are_merged_and_what_is_in_two_counts_once() {
        let endpoint = |address: &str| json!({"addresses": [address]});
        let one = slice("a", &json!([endpoint("10.0.0.1"), endpoint("10.0.0.2")]));
        let other = slice("b", &json!([endpoint("10.0.0.2"), endpoint("10.0.0.3")]));
        let mut slices = slices(&[one, other.clone()]);

        let expected = ["10.0.0.1:50051", "10.0.0.2:50051", "10.0.0.3:50051"].map(near);
        assert_eq!(addresses(&slices, None), expected);

        slices.remove(&serde_json::from_value(other).unwrap());
        assert_eq!(addresses(&slices, None), expected[..2]);
    }

    #[test]
    fn only_what_is_ready_and_does_not_end_is_taken() {
        let endpoint = |address: &str, conditions: Value| json!({"addresses": [address], "conditions": conditions});
        let slices = slices(&[slice(
            "a",
            &json!([
                endpoint(
                    "10.0.0.1",
                    json!({"ready": true, "serving": true, "terminating": false})
                ),
                endpoint(
                    "10.0.0.2",
                    json!({"ready": false, "serving": true, "terminating": true})
                ),
                endpoint("10.0.0.3", json!({"ready": true, "terminating": true})),
                endpoint("10.0.0.4", json!({"ready": false})),
                endpoint("10.0.0.5", json!({})),
            ]),
        )]);

        assert_eq!(addresses(&slices, None), ["10.0.0.1:50051", "10.0.0.5:50051"].map(near));
    }

    #[test]
    fn another_port_no_endpoints_and_names_instead_of_addresses_give_nothing() {
        let named = json!({"metadata": {"name": "b"}, "addressType": "FQDN", "ports": [{"name": "grpc", "port": 1}],
            "endpoints": [{"addresses": ["books.example"]}]});
        let slices = slices(&[slice("a", &Value::Null), named]);

        assert_eq!(addresses(&slices, None), []);
        assert_eq!(slices.found("http", None), []);
    }

    #[test]
    fn the_own_zone_is_near_and_addresses_of_ipv6_are_bracketed() {
        let mut six = slice(
            "a",
            &json!([{"addresses": ["fd00::1"], "zone": "b"}, {"addresses": ["fd00::2"]}]),
        );
        six["addressType"] = json!("IPv6");
        let slices = slices(&[six, slice("b", &json!([{"addresses": ["10.0.0.1"], "zone": "a"}]))]);

        let expected = [
            ("http://10.0.0.1:50051", true),
            ("http://[fd00::1]:50051", false),
            ("http://[fd00::2]:50051", false),
        ];
        assert_eq!(
            addresses(&slices, Some("a")),
            expected.map(|(address, is_near)| (address.to_owned(), is_near))
        );
    }
}
