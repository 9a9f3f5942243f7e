//! Keys for a private platform: one Ed25519 pair per process, the set of the public halves, and svc-auth's master key.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

const MASTER_KEY_BYTES: usize = 32;

/// The private key of one process, PKCS#8 as PEM.
pub fn private_key(folder: &Path, process: &str) -> PathBuf {
    folder.join(format!("{process}.pem"))
}

/// The public keys of all processes, as a JWKS.
pub fn public_keys(folder: &Path) -> PathBuf {
    folder.join("services.jwks.json")
}

/// What svc-auth encrypts its own keys with: 32 random bytes in base64.
pub fn master_key(folder: &Path) -> PathBuf {
    folder.join("master.key")
}

/// Makes the keys of these processes in `folder`, unless they are there: with another master key, svc-auth could not read
/// what it has stored.
pub fn generate(folder: &Path, processes: &[&str]) -> anyhow::Result<()> {
    if public_keys(folder).is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut master = [0; MASTER_KEY_BYTES];
    rand::fill(&mut master).context("making random bytes")?;
    write_secret(&master_key(folder), &STANDARD.encode(master))?;
    let keys: Vec<Value> = processes
        .iter()
        .map(|process| generate_pair(folder, process))
        .collect::<Result<_, _>>()?;
    // Last, because its presence says that all are there.
    let set = serde_json::to_string_pretty(&json!({ "keys": keys }))?;
    fs::write(public_keys(folder), set).context("writing the public keys")
}

/// Writes the private key and returns the public one.
fn generate_pair(folder: &Path, process: &str) -> anyhow::Result<Value> {
    let pair = Ed25519KeyPair::generate().context("making a key pair")?;
    let private = pair.to_pkcs8v1().context("writing a key as PKCS#8")?;
    let encoded = STANDARD.encode(private.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    write_secret(&private_key(folder, process), &pem)?;
    Ok(json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
        "kid": process,
        "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
    }))
}

fn write_secret(path: &Path, contents: &str) -> anyhow::Result<()> {
    fs::write(path, contents).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("protecting {}", path.display()))
}
