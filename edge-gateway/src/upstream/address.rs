//! Addresses of services: one, several, or a Kubernetes service whose endpoints are watched.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};

use super::kubernetes;

const KUBERNETES: &str = "kubernetes://";

/// Where a service is found.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Address {
    /// One address, which may be a mesh's that balances by itself, or several that we balance between.
    Static(Vec<String>),
    /// The endpoints that the Kubernetes API says are ready.
    Kubernetes(ServicePort),
}

/// A named port of a Kubernetes service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ServicePort {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: String,
}

impl Address {
    /// The first of the addresses that are known from the start.
    pub(crate) fn first(&self) -> Option<&str> {
        match self {
            Self::Static(addresses) => addresses.first().map(String::as_str),
            Self::Kubernetes(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = anyhow::Error;

    /// `http://127.0.0.1:50051`, several of these with commas between them, or `kubernetes://namespace/service:port-name`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, kubernetes::IS_BUILT_IN)
    }
}

impl Address {
    fn parse(text: &str, can_watch: bool) -> anyhow::Result<Self> {
        if let Some(service_port) = text.strip_prefix(KUBERNETES) {
            ensure!(can_watch, "needs an edge that is built with the feature kubernetes");
            return Ok(Self::Kubernetes(service_port.parse()?));
        }
        let addresses = text.split(',').map(|address| http_address(address.trim()));
        let mut addresses: Vec<String> = addresses.collect::<anyhow::Result<_>>()?;
        addresses.sort();
        addresses.dedup();
        Ok(Self::Static(addresses))
    }
}

fn http_address(text: &str) -> anyhow::Result<String> {
    let uri: http::Uri = text.parse().context("is no address such as http://127.0.0.1:50051")?;
    ensure!(
        uri.scheme() == Some(&http::uri::Scheme::HTTP) && uri.host().is_some(),
        "is no address such as http://127.0.0.1:50051"
    );
    Ok(text.to_owned())
}

impl FromStr for ServicePort {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once('/')
            .and_then(|(namespace, rest)| rest.split_once(':').map(|(service, port)| [namespace, service, port]));
        match parts {
            // What Kubernetes allows in these names needs no escaping in paths and queries.
            Some(parts) if parts.iter().all(|part| is_label(part)) => {
                let [namespace, service, port] = parts.map(str::to_owned);
                Ok(Self {
                    namespace,
                    service,
                    port,
                })
            }
            Some(_) | None => bail!("is no address such as {KUBERNETES}namespace/service:port-name"),
        }
    }
}

/// A DNS label, of which all three names are made.
fn is_label(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.len() <= 63 && text.bytes().all(is_allowed)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(addresses) => formatter.write_str(&addresses.join(",")),
            Self::Kubernetes(ServicePort {
                namespace,
                service,
                port,
            }) => write!(formatter, "{KUBERNETES}{namespace}/{service}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_read_and_printed_again() {
        for text in [
            "http://127.0.0.1:50051",
            "http://books:50051",
            "http://10.0.0.1:1,http://10.0.0.2:1",
            "kubernetes://shop/books:grpc",
        ] {
            assert_eq!(Address::parse(text, true).unwrap().to_string(), text);
        }
    }

    #[test]
    fn several_addresses_may_be_spaced_and_count_once() {
        let address: Address = "http://b:1, http://a:1 ,http://b:1".parse().unwrap();

        assert_eq!(address, Address::Static(vec!["http://a:1".into(), "http://b:1".into()]));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "books",
            "127.0.0.1:50051",
            "https://books:50051",
            "http://a:1,",
            "http://a:1,kubernetes://shop/books:grpc",
            "kubernetes://books:grpc",
            "kubernetes://shop/books",
            "kubernetes://shop/books:",
            "kubernetes://shop/Books:grpc",
            "kubernetes://shop/books/../pods:grpc",
        ] {
            assert!(Address::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn a_build_that_cannot_watch_says_so() {
        let error = Address::parse("kubernetes://shop/books:grpc", false).unwrap_err();

        assert!(error.to_string().contains("feature kubernetes"), "{error}");
    }
}
