//! What an operator may change while the edge runs: a TOML file, read at the start and again at SIGHUP.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::{cache, client, connection, cors, limit, resilience, routing, security};

/// One table of the file for each part of the edge; what is not said has its default, and an unknown name is an error.
#[derive(Clone, PartialEq, Default, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who the caller is, behind proxies.
    pub client: client::ClientSettings,
    /// How often callers may call.
    pub limits: limit::LimitSettings,
    /// When a service that fails is left alone.
    pub breaker: resilience::BreakerSettings,
    /// When a call is sent a second time.
    pub retry: resilience::RetrySettings,
    /// When there is too much to do.
    pub overload: resilience::OverloadSettings,
    /// Where calls go besides to their own address.
    pub routing: routing::RoutingSettings,
    /// Answers that are kept.
    pub cache: cache::CacheSettings,
    /// How many callers there may be, and how slow.
    pub connections: connection::ConnectionSettings,
    /// Scripts of which sites may call.
    pub cors: cors::CorsSettings,
    /// What browsers are told not to do.
    pub security: security::SecuritySettings,
}

impl FromStr for Settings {
    type Err = toml::de::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        toml::from_str(text)
    }
}

/// The settings in force.
pub(crate) struct LiveSettings {
    current: ArcSwap<Settings>,
}

impl LiveSettings {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            current: ArcSwap::from_pointee(settings),
        }
    }

    /// As they are now.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.current.load()
    }

    pub(crate) fn replace(&self, settings: Settings) {
        self.current.store(Arc::new(settings));
    }
}

fn read(file: &Path) -> anyhow::Result<Settings> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    text.parse().with_context(|| format!("parsing {}", file.display()))
}

/// Reads the file again whenever the process gets SIGHUP; one that cannot be read leaves everything as it was.
pub(crate) async fn follow_signals(
    edge: Arc<Edge>,
    file: Option<PathBuf>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    while shutdown.run_until_cancelled(hangups.recv()).await.is_some() {
        let Some(file) = &file else {
            tracing::info!("asked to read the settings again, but there is no file of settings");
            continue;
        };
        match read(file).and_then(|settings| edge.change_settings(settings)) {
            Ok(()) => tracing::info!("settings are read again"),
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "settings could not be read, the old ones stay"
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_not_said_has_its_default_and_an_unknown_name_is_told() {
        assert_eq!("".parse::<Settings>().unwrap(), Settings::default());

        let error = "[client]\ntrusted_hopps = 1".parse::<Settings>().unwrap_err();
        assert!(error.to_string().contains("trusted_hopps"), "{error}");
    }

    /// The names of a table, and of the tables in it.
    fn names(table: &Value, prefix: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (name, value) in table.as_object().into_iter().flatten() {
            let path = format!("{prefix}.{name}");
            let first = value.as_array().and_then(|list| list.first()).unwrap_or(value);
            names.extend(self::names(first, &path));
            names.insert(path);
        }
        names
    }

    #[test]
    fn the_sample_has_every_setting_with_its_default() {
        let sample = include_str!("../settings.sample.toml");
        assert_eq!(sample.parse::<Settings>().unwrap(), Settings::default());

        let with_examples: Vec<&str> = sample
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .collect();
        let with_examples = with_examples.join("\n");
        let shown = serde_json::to_value(with_examples.parse::<Settings>().unwrap()).unwrap();
        let written = toml::from_str::<Value>(&with_examples).unwrap();

        let written = names(&written, "");
        let is_derived =
            |name: &str| name.starts_with(".limits") && (name.ends_with(".name") || name.ends_with(".most_leased"));
        let shown: Vec<String> = names(&shown, "").into_iter().filter(|name| !is_derived(name)).collect();
        let missing: Vec<&String> = shown.iter().filter(|name| !written.contains(*name)).collect();
        assert!(
            missing.is_empty() && shown.len() > 80,
            "not in the sample: {missing:?} of {}",
            shown.len()
        );
    }

    #[test]
    fn a_broken_file_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");

        fs::write(&file, "[client]\ntrusted_hops = 2").unwrap();
        assert_eq!(read(&file).unwrap().client.trusted_hops, 2);
        fs::write(&file, "[client]\ntrusted_hops = \"many\"").unwrap();
        let error = format!("{:#}", read(&file).unwrap_err());

        assert!(error.contains("trusted_hops"), "{error}");
    }
}
