//! Each RPC's policy, as the contract declares it.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, anyhow};
use bookmesh_proto::edge::v1::{Policy, policy::Auth};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor};

use crate::identity;

const POLICY_OPTION: &str = "bookmesh.edge.v1.policy";
/// For an RPC that does not say, so that nothing runs for ever.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// One RPC of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// The full name of its service.
    pub(crate) service: String,
    /// Its own name.
    pub(crate) name: String,
    /// Who may call.
    pub(crate) access: Access,
    /// Both, as a trace names it.
    pub(crate) full_name: String,
    /// How long it may take; a server stream, until its first message.
    pub(crate) timeout: Duration,
    /// Whether it answers with a stream.
    pub(crate) streams: bool,
}

/// Who may call an RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody: the contract does not say who.
    Nobody,
    /// Anyone.
    Public,
    /// Users whose token has these scopes.
    User {
        scopes: Vec<String>,
        takes_api_tokens: bool,
    },
    /// These services.
    Service { callers: Vec<String> },
}

/// Every RPC of the descriptor set by its path: `/package.Service/Method`.
pub(crate) fn methods(descriptor_set: &[u8]) -> anyhow::Result<HashMap<String, Method>> {
    let pool = DescriptorPool::decode(descriptor_set).context("reading the descriptor set")?;
    let option = pool
        .get_extension_by_name(POLICY_OPTION)
        .ok_or_else(|| anyhow!("no option {POLICY_OPTION}"))?;
    let mut methods = HashMap::new();
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        let service = method.parent_service().full_name();
        let path = format!("/{service}/{}", method.name());
        methods.insert(
            path,
            read(&method, &option).with_context(|| format!("reading the policy of {service}"))?,
        );
    }
    Ok(methods)
}

fn read(method: &MethodDescriptor, option: &ExtensionDescriptor) -> anyhow::Result<Method> {
    let options = method.options();
    let policy: Policy = match options.get_extension(option).as_message() {
        Some(message) if options.has_extension(option) => message.transcode_to()?,
        _ => Policy::default(),
    };
    let access = match policy.auth() {
        Auth::Unspecified => Access::Nobody,
        Auth::Public => Access::Public,
        Auth::User => Access::User {
            takes_api_tokens: identity::takes_api_tokens(&policy),
            scopes: policy.scopes,
        },
        Auth::Service => Access::Service {
            callers: policy.callers,
        },
    };
    let timeout = policy
        .timeout
        .and_then(|timeout| Duration::try_from(timeout).ok())
        .unwrap_or(DEFAULT_TIMEOUT);
    let service = method.parent_service().full_name().to_owned();
    Ok(Method {
        full_name: format!("{service}/{}", method.name()),
        service,
        name: method.name().to_owned(),
        access,
        timeout,
        streams: method.is_server_streaming(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> HashMap<String, Method> {
        methods(bookmesh_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn policies_are_read_from_the_contract() {
        let methods = contract();

        let get_jwks = &methods["/bookmesh.auth.v1.AuthService/GetJwks"];
        let get_task = &methods["/bookmesh.task.v1.TaskService/GetTask"];
        let claim = &methods["/bookmesh.task.v1.TaskInternalService/ClaimTask"];
        assert_eq!(get_jwks.access, Access::Public);
        assert_eq!(
            get_task.access,
            Access::User {
                scopes: vec!["tasks:read".into()],
                takes_api_tokens: true,
            }
        );
        assert_eq!(
            claim.access,
            Access::Service {
                callers: vec!["svc-import".into(), "svc-enrich".into()]
            }
        );
        assert_eq!(
            (claim.name.as_str(), claim.timeout),
            ("ClaimTask", Duration::from_secs(5))
        );
    }

    #[test]
    fn every_rpc_of_the_contract_says_who_may_call() {
        for (path, method) in contract() {
            assert_ne!(method.access, Access::Nobody, "{path}");
        }
    }

    #[test]
    fn api_tokens_are_taken_for_everything_but_identity() {
        for (path, method) in contract() {
            if let Access::User { takes_api_tokens, .. } = method.access {
                assert_eq!(takes_api_tokens, !path.starts_with("/bookmesh.auth."), "{path}");
            }
        }
    }

    #[test]
    fn internal_services_take_services_alone() {
        for (path, method) in contract() {
            let internal = method.service.ends_with("InternalService");
            assert_eq!(matches!(method.access, Access::Service { .. }), internal, "{path}");
        }
    }
}
