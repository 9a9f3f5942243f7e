//! The file of providers, as an operator writes it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, bail, ensure};
use openidconnect::IssuerUrl;
use secrecy::SecretString;
use serde::Deserialize;
use url::{Host, Url};

const PROVIDERS_MAX: usize = 100;
const ID_MAX_BYTES: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    provider: Vec<Entry>,
}

/// One `[[provider]]` of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    display_name: String,
    issuer: String,
    client_id: String,
    /// Relative to the file itself.
    client_secret_file: Option<String>,
    #[serde(default = "usual_scopes")]
    scopes: Vec<String>,
    redirect_uris: Vec<String>,
}

/// A provider, checked.
#[derive(Debug)]
pub(crate) struct ProviderSettings {
    pub id: String,
    pub display_name: String,
    pub issuer: IssuerUrl,
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    /// `openid` is asked for besides.
    pub scopes: Vec<String>,
    pub redirect_uris: Vec<String>,
}

/// Everything in the file, or what is wrong with it.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<ProviderSettings>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    parse(&text, folder).with_context(|| format!("parsing {}", path.display()))
}

fn parse(text: &str, folder: &Path) -> anyhow::Result<Vec<ProviderSettings>> {
    let file: File = toml::from_str(text)?;
    ensure!(
        file.provider.len() <= PROVIDERS_MAX,
        "there are more than {PROVIDERS_MAX} providers"
    );
    let (mut ids, mut issuers) = (BTreeSet::new(), BTreeSet::new());
    let mut providers = Vec::new();
    for entry in file.provider {
        let id = entry.id.clone();
        let provider = entry.check(folder).with_context(|| format!("provider {id:?}"))?;
        ensure!(ids.insert(id.clone()), "two providers have the id {id:?}");
        // Identities are told apart by issuer, and so is who has answered.
        let issuer = provider.issuer.url().clone();
        ensure!(issuers.insert(issuer.clone()), "two providers have the issuer {issuer}");
        providers.push(provider);
    }
    Ok(providers)
}

fn usual_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

impl Entry {
    fn check(self, folder: &Path) -> anyhow::Result<ProviderSettings> {
        let is_id = |text: &str| {
            let is_right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=ID_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_right)
        };
        ensure!(
            is_id(&self.id),
            "id must be 1 to {ID_MAX_BYTES} lower-case letters, digits and hyphens"
        );
        ensure!(!self.display_name.trim().is_empty(), "display_name must not be empty");
        ensure!(!self.client_id.is_empty(), "client_id must not be empty");
        ensure!(!self.redirect_uris.is_empty(), "redirect_uris must not be empty");
        for uri in &self.redirect_uris {
            let url = Url::parse(uri).with_context(|| format!("redirect_uri {uri:?}"))?;
            require_safe(&url).with_context(|| format!("redirect_uri {uri:?}"))?;
        }
        let issuer = IssuerUrl::new(self.issuer).context("issuer")?;
        require_safe(issuer.url()).context("issuer")?;
        ensure!(issuer.url().query().is_none(), "issuer must have no query");
        let client_secret = self.client_secret_file.map(|file| read_secret(&folder.join(file)));
        Ok(ProviderSettings {
            id: self.id,
            display_name: self.display_name,
            issuer,
            client_id: self.client_id,
            client_secret: client_secret.transpose()?,
            scopes: self.scopes.into_iter().filter(|scope| scope != "openid").collect(),
            redirect_uris: self.redirect_uris,
        })
    }
}

fn read_secret(path: &Path) -> anyhow::Result<SecretString> {
    let secret = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "{} is empty", path.display());
    Ok(SecretString::from(secret.to_owned()))
}

/// Without encryption only where nobody else can listen.
pub(super) fn require_safe(url: &Url) -> anyhow::Result<()> {
    let is_safe = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    };
    ensure!(
        is_safe,
        "must begin with https://, or with http:// and an address of this machine"
    );
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        bail!("must have no fragment and no user");
    }
    Ok(())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const GOOD: &str = r#"
        [[provider]]
        id = "keycloak"
        display_name = "Our company"
        issuer = "https://login.example.com/realms/staff"
        client_id = "bookmesh"
        client_secret_file = "secret"
        redirect_uris = ["https://bookmesh.example.com/back"]
    "#;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
        folder
    }

    #[test]
    fn a_provider_has_its_secret_from_a_file_and_the_usual_scopes() {
        let providers = parse(GOOD, folder().path()).unwrap();

        let secret = providers[0].client_secret.as_ref().unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        assert_eq!(providers[0].scopes, ["profile", "email"]);
        assert!(!format!("{providers:?}").contains("hunter2"));
    }

    #[test]
    fn an_empty_file_has_no_providers() {
        assert!(parse("", Path::new(".")).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_and_the_file_refused_whole() {
        let folder = folder();
        let wrong = [
            ("id = \"keycloak\"", "id = \"Key cloak\"", "id must be"),
            ("https://login", "http://login", "issuer"),
            ("https://login", "ftp://login", "issuer"),
            ("realms/staff", "realms/staff?a=b", "no query"),
            ("https://bookmesh", "http://bookmesh", "redirect_uri"),
            ("/back", "/back#here", "no fragment"),
            (
                "[\"https://bookmesh.example.com/back\"]",
                "[]",
                "redirect_uris must not be empty",
            ),
            ("\"secret\"", "\"missing\"", "missing"),
            ("client_id", "clientid", "clientid"),
        ];

        for (good, bad, expected) in wrong {
            let error = format!("{:#}", parse(&GOOD.replace(good, bad), folder.path()).unwrap_err());
            assert!(error.contains(expected), "{bad}: {error}");
        }
        let twice = format!("{GOOD}{GOOD}");
        assert!(format!("{:#}", parse(&twice, folder.path()).unwrap_err()).contains("the id"));
        let same_issuer = format!("{GOOD}{}", GOOD.replace("id = \"keycloak\"", "id = \"other\""));
        assert!(format!("{:#}", parse(&same_issuer, folder.path()).unwrap_err()).contains("the issuer"));
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let is_safe = |text: &str| require_safe(&Url::parse(text).unwrap()).is_ok();

        for good in [
            "http://localhost:8081/a",
            "http://127.0.0.1",
            "http://[::1]:80/",
            "https://a.example",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://a@localhost/",
            "file:///etc/passwd",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }
}
