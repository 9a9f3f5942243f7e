//! The routing settings, checked and with their endpoints found.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use anyhow::{Context, anyhow, ensure};
use uuid::Uuid;

use super::mirror::Mirror;
use super::share::{Caller, Share};
use super::{Mirrored, MountSettings, RoutingSettings, RuleSettings};
use crate::upstream::{Address, Endpoints, UpstreamIndex};

/// Compiled from one reading of the settings.
#[derive(Default)]
pub(crate) struct Table {
    rules: Vec<Rule>,
    mirrors: Vec<Arc<Mirror>>,
    /// The longest prefix first.
    mounts: Vec<Mount>,
    /// What rules, mirrors and mounts point to.
    targets: Vec<Arc<Endpoints>>,
}

/// Names one of the targets of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TargetIndex(pub(crate) usize);

/// A call that is to be sent.
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) upstream: UpstreamIndex,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) user: Option<Uuid>,
    pub(crate) address: Option<IpAddr>,
}

impl<'a> Asked<'a> {
    /// By a user, when one is known, from an address, when one is known.
    pub(crate) fn by(
        request: &'a HttpRequest,
        upstream: UpstreamIndex,
        user: Option<Uuid>,
        address: Option<IpAddr>,
    ) -> Self {
        Self {
            path: request.uri().path(),
            upstream,
            headers: request.headers(),
            user,
            address,
        }
    }
}

struct Rule {
    upstream: UpstreamIndex,
    header: Option<HeaderCondition>,
    share: Share,
    target: TargetIndex,
}

struct HeaderCondition {
    name: HeaderName,
    value: Option<String>,
}

struct Mount {
    prefix: String,
    strip: bool,
    target: TargetIndex,
}

impl Table {
    pub(crate) fn compile(
        settings: &RoutingSettings,
        packages: &[String],
        endpoints: impl Fn(&Address) -> anyhow::Result<Arc<Endpoints>>,
        mirrored: &Mirrored,
    ) -> anyhow::Result<Self> {
        check_names("rules", settings.rules.iter().map(|rule| &rule.name))?;
        check_names("mirrors", settings.mirrors.iter().map(|mirror| &mirror.name))?;
        check_names("mounts", settings.mounts.iter().map(|mount| &mount.prefix))?;
        let mut targets = Targets {
            found: Vec::new(),
            endpoints,
        };
        let mut table = Self::default();
        for rule in &settings.rules {
            let compiled = Rule::compile(rule, packages, &mut targets);
            table
                .rules
                .push(compiled.with_context(|| format!("rules {:?}", rule.name))?);
        }
        for mirror in &settings.mirrors {
            let compiled = targets
                .find(&mirror.to)
                .and_then(|target| Mirror::compile(mirror, find(packages, &mirror.package)?, target, mirrored));
            let compiled = compiled.with_context(|| format!("mirrors {:?}", mirror.name))?;
            table.mirrors.push(Arc::new(compiled));
        }
        for mount in &settings.mounts {
            let compiled = Mount::compile(mount, &mut targets);
            table
                .mounts
                .push(compiled.with_context(|| format!("mounts {:?}", mount.prefix))?);
        }
        table.mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        table.targets = targets.found;
        Ok(table)
    }

    pub(crate) fn targets(&self) -> &[Arc<Endpoints>] {
        &self.targets
    }

    /// The path in which the route is looked for.
    pub(crate) fn route_path<'p>(&self, path: &'p str) -> &'p str {
        match self.mount(path) {
            Some(mount) if mount.strip => &path[mount.prefix.len()..],
            Some(_) | None => path,
        }
    }

    /// Where a call goes instead of to its package's own address.
    pub(crate) fn target(&self, asked: &Asked<'_>) -> Option<TargetIndex> {
        if let Some(mount) = self.mount(asked.path) {
            return Some(mount.target);
        }
        let rule = self.rules.iter().find(|rule| rule.fits(asked))?;
        Some(rule.target)
    }

    pub(super) fn mirrors_of(&self, upstream: UpstreamIndex) -> impl Iterator<Item = &Arc<Mirror>> {
        self.mirrors.iter().filter(move |mirror| mirror.upstream == upstream)
    }

    fn mount(&self, path: &str) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.has(path))
    }
}

impl Rule {
    fn compile(
        settings: &RuleSettings,
        packages: &[String],
        targets: &mut Targets<impl Fn(&Address) -> anyhow::Result<Arc<Endpoints>>>,
    ) -> anyhow::Result<Self> {
        ensure!(
            settings.header.is_some() || settings.value.is_none(),
            "has a value but no header"
        );
        let header = settings.header.as_ref().map(|header| {
            let name = HeaderName::try_from(header.as_str()).with_context(|| format!("{header:?} is no header"))?;
            let value = settings.value.clone();
            anyhow::Ok(HeaderCondition { name, value })
        });
        Ok(Self {
            upstream: find(packages, &settings.package)?,
            header: header.transpose()?,
            share: share(&settings.name, settings.share)?,
            target: targets.find(&settings.to)?,
        })
    }

    fn fits(&self, asked: &Asked<'_>) -> bool {
        let caller = Caller {
            user: asked.user,
            address: asked.address,
        };
        let fits_header = |condition: &HeaderCondition| condition.fits(asked.headers);
        self.upstream == asked.upstream && self.header.as_ref().is_none_or(fits_header) && self.share.has(caller)
    }
}

impl HeaderCondition {
    fn fits(&self, headers: &HeaderMap) -> bool {
        let has_value = |line: &actix_web::http::header::HeaderValue| match &self.value {
            Some(value) => line.as_bytes() == value.as_bytes(),
            None => true,
        };
        headers.get_all(&self.name).any(has_value)
    }
}

impl Mount {
    fn compile(
        settings: &MountSettings,
        targets: &mut Targets<impl Fn(&Address) -> anyhow::Result<Arc<Endpoints>>>,
    ) -> anyhow::Result<Self> {
        let prefix = &settings.prefix;
        ensure!(
            prefix.starts_with('/') && !prefix.ends_with('/') && !prefix.contains(['*', '{', '?']),
            "the prefix is no path such as /eu"
        );
        Ok(Self {
            prefix: prefix.clone(),
            strip: settings.strip,
            target: targets.find(&settings.to)?,
        })
    }

    /// `/eu` has `/eu/books`, and not `/europe`.
    fn has(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && !self.strip))
    }
}

/// Finds each address once.
struct Targets<F> {
    found: Vec<Arc<Endpoints>>,
    endpoints: F,
}

impl<F: Fn(&Address) -> anyhow::Result<Arc<Endpoints>>> Targets<F> {
    fn find(&mut self, address: &str) -> anyhow::Result<TargetIndex> {
        let address: Address = address.parse().with_context(|| format!("{address:?}"))?;
        let endpoints = (self.endpoints)(&address)?;
        let known = self.found.iter().position(|other| Arc::ptr_eq(other, &endpoints));
        let index = known.unwrap_or_else(|| {
            self.found.push(endpoints);
            self.found.len() - 1
        });
        Ok(TargetIndex(index))
    }
}

pub(super) fn share(name: &str, percent: f64) -> anyhow::Result<Share> {
    Share::new(name, percent).with_context(|| format!("a share of {percent} is not between 0 and 100"))
}

fn find(packages: &[String], package: &str) -> anyhow::Result<UpstreamIndex> {
    let index = packages.iter().position(|other| other == package);
    index
        .map(UpstreamIndex)
        .ok_or_else(|| anyhow!("there is no package {package:?}, only {}", packages.join(", ")))
}

fn check_names<'s>(list: &str, names: impl Iterator<Item = &'s String>) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for name in names {
        ensure!(!name.is_empty(), "{list}: one has no name");
        ensure!(known.insert(name), "{list} {name:?} is there twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> anyhow::Result<Table> {
        let settings: RoutingSettings = toml::from_str(text)?;
        let packages = ["library.v1".to_owned(), "greeter.v1".to_owned()];
        Table::compile(&settings, &packages, |_| Ok(Arc::default()), &Mirrored::default())
    }

    fn error(text: &str) -> String {
        format!("{:#}", compile(text).map(|_| ()).unwrap_err())
    }

    #[test]
    fn every_mistake_names_the_rule() {
        let rule = "[[rules]]\nname = 'canary'\npackage = 'library.v1'\nto = 'http://a:1'\n";
        let mirror = "[[mirrors]]\nname = 'next'\npackage = 'library.v1'\nto = 'http://a:1'\n";
        for (text, name, word) in [
            (
                rule.replace("library.v1", "library.v2"),
                "rules \"canary\"",
                "library.v2",
            ),
            (rule.replace("http://a:1", "a:1"), "rules \"canary\"", "no address"),
            (format!("{rule}share = 101"), "rules \"canary\"", "101"),
            (format!("{rule}value = 'always'"), "rules \"canary\"", "no header"),
            (format!("{rule}header = 'x canary'"), "rules \"canary\"", "no header"),
            (format!("{rule}{rule}"), "rules \"canary\"", "twice"),
            (rule.replace("canary", ""), "rules", "no name"),
            (
                mirror.replace("http://a:1", "http://"),
                "mirrors \"next\"",
                "no address",
            ),
            (format!("{mirror}concurrency = 0"), "mirrors \"next\"", "concurrency"),
            (format!("{mirror}rate = 0"), "mirrors \"next\"", "rate"),
            (
                "[[mounts]]\nprefix = 'eu'\nto = 'http://a:1'".to_owned(),
                "mounts \"eu\"",
                "prefix",
            ),
            (
                "[[mounts]]\nprefix = '/eu/'\nto = 'http://a:1'".to_owned(),
                "mounts \"/eu/\"",
                "prefix",
            ),
            (format!("{rule}hedaer = 'x'"), "hedaer", "unknown"),
        ] {
            let error = error(&text);
            assert!(error.contains(name) && error.contains(word), "{error} for {text}");
        }
    }

    #[test]
    fn a_prefix_is_made_of_whole_segments_and_the_longest_counts() {
        let table = compile(
            "[[mounts]]\nprefix = '/eu'\nstrip = true\nto = 'http://a:1'\n\
             [[mounts]]\nprefix = '/eu/north'\nstrip = true\nto = 'http://b:1'\n\
             [[mounts]]\nprefix = '/v1/books'\nto = 'http://c:1'",
        )
        .unwrap();

        assert_eq!(table.route_path("/eu/v1/books"), "/v1/books");
        assert_eq!(table.route_path("/eu/north/v1/books"), "/v1/books");
        assert_eq!(table.route_path("/europe/v1/books"), "/europe/v1/books");
        assert_eq!(table.route_path("/eu"), "/eu");
        assert_eq!(table.route_path("/v1/books/7"), "/v1/books/7");
        let target = |path| {
            table.target(&Asked {
                path,
                upstream: UpstreamIndex(0),
                headers: &HeaderMap::new(),
                user: None,
                address: None,
            })
        };
        assert_eq!(target("/eu/v1/books"), Some(TargetIndex(0)));
        assert_eq!(target("/eu/north/v1/books"), Some(TargetIndex(1)));
        assert_eq!(target("/v1/books"), Some(TargetIndex(2)));
        assert_eq!(target("/v1/bookshelves"), None);
    }
}
