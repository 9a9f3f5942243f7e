//! What browsers are told not to do with answers.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::header_value;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The table `[security]` of the settings. An empty text leaves its header out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecuritySettings {
    /// Of answers that have none of their own, which is all but the pages: nothing in them may load, run or be framed.
    #[serde(deserialize_with = "header_value::optional", serialize_with = "header_value::text")]
    pub content_security_policy: Option<HeaderValue>,
    /// Who else may show an answer as an image, a script or a style. Calls by scripts are for `[cors]` to allow.
    #[serde(deserialize_with = "header_value::optional", serialize_with = "header_value::text")]
    pub cross_origin_resource_policy: Option<HeaderValue>,
    /// What other sites are told of where their visitors come from.
    #[serde(deserialize_with = "header_value::optional", serialize_with = "header_value::text")]
    pub referrer_policy: Option<HeaderValue>,
    /// For edges that are reached by HTTPS alone: browsers then remember to ask for nothing else.
    #[serde(deserialize_with = "header_value::optional", serialize_with = "header_value::text")]
    pub strict_transport_security: Option<HeaderValue>,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        let text = |text| Some(HeaderValue::from_static(text));
        Self {
            content_security_policy: text("default-src 'none'; frame-ancestors 'none'"),
            cross_origin_resource_policy: text("same-origin"),
            referrer_policy: text("no-referrer"),
            strict_transport_security: None,
        }
    }
}

/// Puts them into the head of an answer.
pub(crate) fn stamp(settings: &SecuritySettings, headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        insert(
            headers,
            header::CONTENT_SECURITY_POLICY,
            &settings.content_security_policy,
        );
    }
    insert(
        headers,
        CROSS_ORIGIN_RESOURCE_POLICY,
        &settings.cross_origin_resource_policy,
    );
    insert(headers, header::REFERRER_POLICY, &settings.referrer_policy);
    insert(
        headers,
        header::STRICT_TRANSPORT_SECURITY,
        &settings.strict_transport_security,
    );
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}
