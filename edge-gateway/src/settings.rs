//! What an operator may change while the edge runs: a TOML file, read at the start and again at SIGHUP.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{cache, client};

/// One table of the file for each part of the edge; what is not said has its default, and an unknown name is an error.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who the caller is, behind proxies.
    pub client: client::ClientSettings,
    /// Answers that are kept.
    pub cache: cache::CacheSettings,
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

    /// As they are now; a request keeps those that it began with.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.current.load()
    }

    /// Takes the file over whole, or not at all.
    pub(crate) fn reload(&self, file: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let settings = text
            .parse::<Settings>()
            .with_context(|| format!("parsing {}", file.display()))?;
        self.current.store(Arc::new(settings));
        Ok(())
    }
}

/// Reads the file again whenever the process gets SIGHUP; one that cannot be read leaves everything as it was.
pub(crate) async fn follow_signals(
    settings: Arc<LiveSettings>,
    file: Option<PathBuf>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    while shutdown.run_until_cancelled(hangups.recv()).await.is_some() {
        let Some(file) = &file else {
            tracing::info!("asked to read the settings again, but there is no file of settings");
            continue;
        };
        match settings.reload(file) {
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
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default_and_an_unknown_name_is_told() {
        assert_eq!("".parse::<Settings>().unwrap(), Settings::default());

        let error = "[client]\ntrusted_hopps = 1".parse::<Settings>().unwrap_err();
        assert!(error.to_string().contains("trusted_hopps"), "{error}");
    }

    #[test]
    fn a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        let settings = LiveSettings::new(Settings::default());

        fs::write(&file, "[client]\ntrusted_hops = 2").unwrap();
        settings.reload(&file).unwrap();
        fs::write(&file, "[client]\ntrusted_hops = \"many\"").unwrap();
        let error = format!("{:#}", settings.reload(&file).unwrap_err());

        assert!(error.contains("trusted_hops"), "{error}");
        assert_eq!(settings.load().client.trusted_hops, 2);
    }
}
