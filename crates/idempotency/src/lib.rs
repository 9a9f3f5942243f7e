//! Requests that their callers have named happen once: the answer is kept in the transaction of the change. Start reading
//! at [`NamedRequest`].

mod error;
mod forget;
mod store;
mod sweep;

use aws_lc_rs::digest::{Context as Digest, SHA256};
use prost::Message;
use service::{check, status::Violation};
use sqlx::{PgConnection, migrate::Migrator};
use uuid::Uuid;

pub use crate::{error::Error, forget::forget_owner, sweep::sweep};

/// The table, to be made in the schema of the service that uses this crate.
pub static MIGRATOR: Migrator = sqlx::migrate!();

const KEY_BYTES: usize = 128;

/// The name that a caller gave a request. It can be read before the request is known as a whole, as when a file follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

/// A request with the name that its caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRequest {
    owner: Uuid,
    key: String,
    request_hash: Vec<u8>,
}

impl RequestId {
    /// Nothing when the caller gave no name.
    pub fn parse(request_id: &str) -> Result<Option<Self>, Violation> {
        if request_id.is_empty() {
            return Ok(None);
        }
        match check::text("request_id", request_id, KEY_BYTES) {
            Some(violation) => Err(violation),
            None => Ok(Some(Self(request_id.to_owned()))),
        }
    }

    /// `parts` are what the RPC is asked, without the name.
    pub fn of_request(self, owner: Uuid, rpc: &str, parts: &[&[u8]]) -> NamedRequest {
        NamedRequest {
            owner,
            key: self.0,
            request_hash: hash(rpc, parts),
        }
    }
}

impl NamedRequest {
    /// Nothing when the caller gave no name. `parts` are what the RPC is asked, without the name.
    pub fn parse(owner: Uuid, rpc: &str, request_id: &str, parts: &[&[u8]]) -> Result<Option<Self>, Violation> {
        let request_id = RequestId::parse(request_id)?;
        Ok(request_id.map(|request_id| request_id.of_request(owner, rpc, parts)))
    }

    /// Takes the key until the end of the owner's transaction, and answers what was answered before. Who gets nothing
    /// does the work, and [`keep`](Self::keep)s its answer.
    pub async fn begin<M: Message + Default>(&self, connection: &mut PgConnection) -> Result<Option<M>, Error> {
        if !store::try_take(connection, self.owner, &self.key).await? {
            return Err(Error::InFlight);
        }
        let Some(kept) = store::find(connection, self.owner, &self.key).await? else {
            return Ok(None);
        };
        if kept.request_hash != self.request_hash {
            return Err(Error::Reused);
        }
        Ok(Some(M::decode(kept.answer.as_slice())?))
    }

    /// Keeps the answer, to be committed with the change that it tells of.
    pub async fn keep(&self, connection: &mut PgConnection, answer: &impl Message) -> sqlx::Result<()> {
        let answer = answer.encode_to_vec();
        store::keep(connection, self.owner, &self.key, &self.request_hash, &answer).await
    }
}

/// Each part with its length, so that no two requests run into the same bytes.
fn hash(rpc: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Digest::new(&SHA256);
    for part in [&[rpc.as_bytes()], parts].concat() {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request_id: &str) -> Result<Option<NamedRequest>, Violation> {
        NamedRequest::parse(Uuid::nil(), "CreateThing", request_id, &[b"content"])
    }

    #[test]
    fn a_name_is_optional_and_at_most_128_bytes() {
        assert_eq!(parse("").unwrap(), None);
        assert!(parse(&"k".repeat(128)).unwrap().is_some());
        assert_eq!(parse(&"k".repeat(129)).unwrap_err().field, "request_id");
        assert!(parse("a\0b").is_err());
    }

    #[test]
    fn what_is_asked_tells_requests_apart() {
        let hashes = [
            hash("CreateThing", &[b"ab", b"c"]),
            hash("CreateThing", &[b"a", b"bc"]),
            hash("CreateThing", &[b"abc"]),
            hash("CreateThin", &[b"gab", b"c"]),
        ];

        for (index, one) in hashes.iter().enumerate() {
            assert_eq!(hashes.iter().position(|other| other == one), Some(index));
        }
    }
}
