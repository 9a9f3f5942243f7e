//! The providers in force: read from a file at the start, and again whenever the process gets SIGHUP.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    http::Http,
    provider::Provider,
    settings::{self, ProviderSettings},
};

pub(crate) struct Providers {
    file: Option<PathBuf>,
    http: Http,
    current: ArcSwap<Vec<Arc<Provider>>>,
}

impl Providers {
    /// Asks no provider: one that is down keeps nobody from starting.
    pub(crate) fn load(file: Option<PathBuf>) -> anyhow::Result<Providers> {
        let providers = Providers {
            file,
            http: Http::new()?,
            current: ArcSwap::default(),
        };
        providers.reload()?;
        Ok(providers)
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Provider>>> {
        self.current.load_full()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Provider>> {
        self.current.load().iter().find(|provider| provider.id() == id).cloned()
    }

    /// A file that cannot be read leaves everything as it was.
    pub(crate) async fn follow_signals(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut hangups = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
        while shutdown.run_until_cancelled(hangups.recv()).await.is_some() {
            match self.reload() {
                Ok(()) => tracing::info!(providers = self.all().len(), "providers are read again"),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "providers could not be read, the old ones stay"
                ),
            }
        }
        Ok(())
    }

    fn reload(&self) -> anyhow::Result<()> {
        let settings = match &self.file {
            Some(file) => settings::read(file)?,
            None => Vec::new(),
        };
        let old = self.all();
        let providers = settings
            .into_iter()
            .map(|settings| Arc::new(self.provider(settings, &old)));
        self.current.store(Arc::new(providers.collect()));
        Ok(())
    }

    fn provider(&self, settings: ProviderSettings, old: &[Arc<Provider>]) -> Provider {
        let known = old.iter().map(|provider| &provider.published);
        let published = known.into_iter().find(|published| published.issuer == settings.issuer);
        Provider::new(settings, published.cloned(), self.http.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text(id: &str, issuer: &str) -> String {
        format!(
            "[[provider]]\nid = '{id}'\ndisplay_name = 'Staff'\nissuer = '{issuer}'\nclient_id = 'bookmesh'\n\
             redirect_uris = ['https://bookmesh.example/back']\n"
        )
    }

    #[test]
    fn a_broken_file_leaves_everything_as_it_was_and_a_good_one_keeps_what_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("providers.toml");
        fs::write(&file, text("staff", "https://a.example")).unwrap();
        let providers = Providers::load(Some(file.clone())).unwrap();
        let before = providers.find("staff").unwrap();

        fs::write(&file, "[[provider]]").unwrap();
        providers.reload().unwrap_err();
        assert!(Arc::ptr_eq(&providers.find("staff").unwrap(), &before));

        let both = text("renamed", "https://a.example") + &text("other", "https://b.example");
        fs::write(&file, both).unwrap();
        providers.reload().unwrap();
        assert!(providers.find("staff").is_none());
        assert!(Arc::ptr_eq(
            &providers.find("renamed").unwrap().published,
            &before.published
        ));
        assert!(!Arc::ptr_eq(
            &providers.find("other").unwrap().published,
            &before.published
        ));
    }
}
