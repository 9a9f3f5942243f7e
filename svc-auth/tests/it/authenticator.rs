//! A device that keeps a passkey, in software: WebAuthn as browsers and devices speak it, with P-256.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

/// Somebody was there, and showed a finger, a face or a PIN.
const PRESENT_AND_VERIFIED: u8 = 0b101;
const PRESENT: u8 = 0b001;
const HAS_CREDENTIAL: u8 = 0b0100_0000;

pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
    pub credential_id: Vec<u8>,
    pub user_handle: Vec<u8>,
    pub counter: u32,
    pub has_counter: bool,
    /// The page that the browser shows.
    pub origin: String,
    pub asks_for_a_finger: bool,
}

impl Authenticator {
    pub(crate) fn new() -> Authenticator {
        Authenticator {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            credential_id: Uuid::new_v4().as_bytes().to_vec(),
            user_handle: Vec::new(),
            counter: 0,
            has_counter: true,
            origin: "http://localhost:8080".to_owned(),
            asks_for_a_finger: true,
        }
    }

    /// The same key again, as a thief would have it.
    pub(crate) fn copy(&self) -> Authenticator {
        let key = self.key.to_pkcs8v1().unwrap();
        Authenticator {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref()).unwrap(),
            credential_id: self.credential_id.clone(),
            user_handle: self.user_handle.clone(),
            origin: self.origin.clone(),
            ..*self
        }
    }

    /// What `navigator.credentials.create` answers.
    pub(crate) fn create(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        self.user_handle = decode(&options["user"]["id"]);
        let client_data = self.client_data("webauthn.create", &options);
        let mut data = self.authenticator_data(&options["rp"]["id"], HAS_CREDENTIAL);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential_id.len()).unwrap().to_be_bytes());
        data.extend(&self.credential_id);
        data.extend(self.cose_key());
        let credential = json!({
            "id": encode(&self.credential_id),
            "rawId": encode(&self.credential_id),
            "type": "public-key",
            "response": {"attestationObject": encode(&attestation(&data)), "clientDataJSON": encode(&client_data)},
            "clientExtensionResults": {},
        });
        credential.to_string()
    }

    /// What `navigator.credentials.get` answers.
    pub(crate) fn get(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        self.counter += u32::from(self.has_counter);
        let client_data = self.client_data("webauthn.get", &options);
        let data = self.authenticator_data(&options["rpId"], 0);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let credential = json!({
            "id": encode(&self.credential_id),
            "rawId": encode(&self.credential_id),
            "type": "public-key",
            "response": {
                "authenticatorData": encode(&data),
                "clientDataJSON": encode(&client_data),
                "signature": encode(signature.as_ref()),
                "userHandle": encode(&self.user_handle),
            },
            "clientExtensionResults": {},
        });
        credential.to_string()
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, rp_id: &Value, flags: u8) -> Vec<u8> {
        let seen = if self.asks_for_a_finger {
            PRESENT_AND_VERIFIED
        } else {
            PRESENT
        };
        let mut data = digest(&SHA256, rp_id.as_str().unwrap().as_bytes()).as_ref().to_vec();
        data.push(seen | flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// RFC 9053 in CBOR: EC2, ES256, P-256, x and y.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        [&head, x, &[0x22, 0x58, 0x20], y].concat()
    }
}

/// CBOR: {"fmt": "none", "attStmt": {}, "authData": data}.
fn attestation(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    [
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(),
        &[length],
        data,
    ]
    .concat()
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}
