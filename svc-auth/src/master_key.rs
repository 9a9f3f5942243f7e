//! What is derived from the one secret of the service: encryption of stored keys, and the pepper of passwords.

use anyhow::{Context, ensure};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf, hmac,
};
use base64::{Engine, prelude::BASE64_STANDARD};

const MASTER_KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The keys that come of `AUTH_MASTER_KEY`. Each purpose has one of its own.
pub(crate) struct MasterKey {
    sealing: RandomizedNonceKey,
    pepper: hmac::Key,
    pepper_id: String,
    root: hkdf::Prk,
}

impl MasterKey {
    /// Takes 32 random bytes in base64, as they stand in the file.
    pub(crate) fn parse(text: &str) -> anyhow::Result<MasterKey> {
        // The cause would print bytes of the secret.
        let bytes = BASE64_STANDARD
            .decode(text.trim())
            .map_err(|_| anyhow::anyhow!("the master key is not base64"))?;
        ensure!(
            bytes.len() == MASTER_KEY_BYTES,
            "the master key must be {MASTER_KEY_BYTES} bytes long, not {}",
            bytes.len()
        );
        let root = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &bytes);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &derive(&root, "seal stored keys"))
            .ok()
            .context("making the sealing key")?;
        let pepper_id = hex(&derive(&root, "pepper id")[..4]);
        let pepper = hmac::Key::new(hmac::HMAC_SHA256, &derive(&root, "pepper passwords"));
        Ok(MasterKey {
            sealing,
            pepper,
            pepper_id,
            root,
        })
    }

    /// A key of its own for another purpose.
    pub(crate) fn hmac_key(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &derive(&self.root, purpose))
    }

    /// Encrypts. What is sealed for one `purpose` opens for no other.
    pub(crate) fn seal(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .sealing
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut sealed)
            .expect("a few bytes are within the cipher's limits");
        [nonce.as_ref().as_slice(), &sealed].concat()
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (nonce, ciphertext) = sealed
            .split_at_checked(NONCE_BYTES)
            .context("a sealed value is too short")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)
            .ok()
            .context("reading a nonce")?;
        let mut opened = ciphertext.to_vec();
        let length = self
            .sealing
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut opened)
            .ok()
            .context("opening a sealed value: it was sealed with another master key or for another purpose")?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    /// Makes a stolen table of password hashes useless without the master key. Any bytes will do, and none are cut off.
    pub(crate) fn pepper(&self, password: &[u8]) -> hmac::Tag {
        hmac::sign(&self.pepper, password)
    }

    /// Says which pepper went into a stored hash. Tells nothing of the pepper itself.
    pub(crate) fn pepper_id(&self) -> &str {
        &self.pepper_id
    }
}

fn derive(root: &hkdf::Prk, label: &str) -> [u8; 32] {
    let info = [b"bookmesh svc-auth v1: ".as_slice(), label.as_bytes()];
    let mut key = [0; 32];
    root.expand(&info, hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut key))
        .expect("32 bytes are within the limits of HKDF");
    key
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master_key(fill: u8) -> MasterKey {
        MasterKey::parse(&BASE64_STANDARD.encode([fill; 32])).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_and_looks_different_each_time() {
        let key = master_key(1);

        let sealed = key.seal("session 1", b"secret");

        assert_eq!(key.open("session 1", &sealed).unwrap(), b"secret");
        assert_ne!(key.seal("session 1", b"secret"), sealed);
    }

    #[test]
    fn another_purpose_another_key_and_a_changed_byte_open_nothing() {
        let key = master_key(1);
        let sealed = key.seal("session 1", b"secret");
        let mut changed = sealed.clone();
        changed[NONCE_BYTES] ^= 1;

        assert!(key.open("session 2", &sealed).is_err());
        assert!(master_key(2).open("session 1", &sealed).is_err());
        assert!(key.open("session 1", &changed).is_err());
        assert!(key.open("session 1", &sealed[..5]).is_err());
    }

    #[test]
    fn a_master_key_of_another_length_or_spelling_is_refused_without_showing_it() {
        for bad in ["", "not base64!", "c2hvcnQ="] {
            let message = format!("{:#}", MasterKey::parse(bad).err().unwrap());

            assert!(bad.is_empty() || !message.contains(bad));
        }
    }

    #[test]
    fn the_pepper_and_its_id_follow_the_master_key() {
        assert_ne!(master_key(1).pepper(b"p").as_ref(), master_key(2).pepper(b"p").as_ref());
        assert_ne!(master_key(1).pepper_id(), master_key(2).pepper_id());
        assert_eq!(master_key(1).pepper_id(), master_key(1).pepper_id());
    }
}
