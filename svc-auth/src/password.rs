//! Hashing passwords: Argon2id with a pepper, so many at a time as there are cores, and a short queue before it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::{hmac, rand};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    error::Error,
    hashing_cost::{self, HashingCost, TAG_BYTES},
    master_key::MasterKey,
    registration::Password,
};

const SALT_BYTES: usize = 16;

/// How many strangers may wait: at 27 ms each, two cores serve them within the deadline.
const QUEUE: usize = 64;
/// How many others may wait, beside them and before them.
const KNOWN_QUEUE: usize = 16;
const QUEUE_DEADLINE: Duration = Duration::from_secs(1);

/// A hash as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredHash {
    /// PHC string.
    pub phc: String,
    pub pepper_id: String,
}

impl StoredHash {
    /// Whether the account has a password: whoever logs in elsewhere need not have one.
    pub(crate) fn is_some(&self) -> bool {
        !self.phc.is_empty()
    }
}

/// What comparing a password found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Wrong,
    Right,
    /// Right, but the stored hash is weaker than one made today: this is what to store instead.
    RightButWeak(StoredHash),
}

/// Who waits for a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Stranger,
    /// Somebody who has logged in before, by a device token or a session. A flood of strangers is not in their way.
    Known,
}

/// Lets its holder wait for a core, once.
pub(crate) struct Place {
    caller: Caller,
    permit: OwnedSemaphorePermit,
}

/// Admission to Argon2. It bounds memory too: each hash under way takes what it costs, 19 MiB by default, and no other does.
pub(crate) struct Hasher {
    master_key: Arc<MasterKey>,
    cost: HashingCost,
    cores: Arc<Semaphore>,
    /// One for each core: so many strangers, and no more, are at a core or next in line for one.
    strangers: Arc<Semaphore>,
    places: Arc<Semaphore>,
    known_places: Arc<Semaphore>,
    /// Compared with when there is no account or no password, so that the answer takes as long.
    decoy: StoredHash,
}

impl Hasher {
    pub(crate) fn new(master_key: Arc<MasterKey>, cores: usize, cost: HashingCost) -> anyhow::Result<Hasher> {
        let decoy_password = random_bytes::<32>();
        Ok(Hasher {
            decoy: hash(&master_key, &decoy_password, cost)?,
            master_key,
            cost,
            cores: Arc::new(Semaphore::new(cores)),
            strangers: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(cores + QUEUE)),
            known_places: Arc::new(Semaphore::new(cores + KNOWN_QUEUE)),
        })
    }

    /// A place in the queue, or `AUTH_BUSY` at once. Taken before anything else is asked for, so that a flood costs nothing more.
    pub(crate) fn enter(&self, caller: Caller) -> Result<Place, Error> {
        let places = match caller {
            Caller::Stranger => &self.places,
            Caller::Known => &self.known_places,
        };
        let permit = Arc::clone(places).try_acquire_owned().map_err(|_| Error::Busy)?;
        Ok(Place { caller, permit })
    }

    pub(crate) async fn hash(&self, password: Password, place: Place) -> Result<StoredHash, Error> {
        let (master_key, cost) = (Arc::clone(&self.master_key), self.cost);
        self.run(place, move || hash(&master_key, password.as_bytes(), cost))
            .await
    }

    /// Compares with the stored hash of the account, or does the same work when there is no account or no password.
    pub(crate) async fn compare(
        &self,
        password: Password,
        stored: Option<StoredHash>,
        place: Place,
    ) -> Result<Comparison, Error> {
        let (master_key, cost) = (Arc::clone(&self.master_key), self.cost);
        let stored = stored.filter(StoredHash::is_some);
        let has_password = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let comparison = self
            .run(place, move || compare(&master_key, password.as_bytes(), &stored, cost))
            .await?;
        Ok(if has_password { comparison } else { Comparison::Wrong })
    }

    /// The permits go along with the work: a caller who hangs up frees no core that is still hashing.
    async fn run<T, W>(&self, place: Place, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce() -> anyhow::Result<T> + Send + 'static,
    {
        let turn = timeout(QUEUE_DEADLINE, self.turn(place.caller))
            .await
            .map_err(|_| Error::Busy)?
            .context("waiting for a core")?;
        let guarded = move || {
            let _held = (place.permit, turn);
            work()
        };
        Ok(spawn_blocking(guarded).await.context("hashing a password")??)
    }

    /// Cores are given in the order in which they are asked for. Strangers wait for their turn to ask, so that a known caller finds
    /// no more of them before it than there are cores.
    async fn turn(&self, caller: Caller) -> Result<Vec<OwnedSemaphorePermit>, AcquireError> {
        let mut held = Vec::new();
        if caller == Caller::Stranger {
            held.push(Arc::clone(&self.strangers).acquire_owned().await?);
        }
        held.push(Arc::clone(&self.cores).acquire_owned().await?);
        Ok(held)
    }
}

fn hash(master_key: &MasterKey, password: &[u8], cost: HashingCost) -> anyhow::Result<StoredHash> {
    hash_with(master_key, password, cost.params())
}

fn hash_with(master_key: &MasterKey, password: &[u8], params: Params) -> anyhow::Result<StoredHash> {
    let peppered = master_key.pepper(password);
    let phc = argon2(params)
        .hash_password_with_salt(peppered.as_ref(), &random_bytes::<SALT_BYTES>())
        .map_err(|error| anyhow!("hashing with argon2: {error}"))?
        .to_string();
    Ok(StoredHash {
        phc,
        pepper_id: master_key.pepper_id().to_owned(),
    })
}

fn compare(
    master_key: &MasterKey,
    password: &[u8],
    stored: &StoredHash,
    cost: HashingCost,
) -> anyhow::Result<Comparison> {
    if stored.pepper_id != master_key.pepper_id() {
        bail!(
            "a password hash was made with pepper {}, which is not known",
            stored.pepper_id
        );
    }
    let parsed = PasswordHash::new(&stored.phc).map_err(|error| anyhow!("reading a stored hash: {error}"))?;
    let peppered: hmac::Tag = master_key.pepper(password);
    if argon2(cost.params())
        .verify_password(peppered.as_ref(), &parsed)
        .is_err()
    {
        return Ok(Comparison::Wrong);
    }
    if is_weak(&parsed) {
        return Ok(Comparison::RightButWeak(hash(master_key, password, cost)?));
    }
    Ok(Comparison::Right)
}

fn is_weak(stored: &PasswordHash) -> bool {
    let Ok(stored_params) = Params::try_from(stored) else {
        return true;
    };
    stored.algorithm != Algorithm::Argon2id.ident()
        || hashing_cost::is_weak(&stored_params)
        || stored.hash.is_none_or(|tag| tag.len() < TAG_BYTES)
}

fn argon2(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Unpredictable bytes.
pub(crate) fn random_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use futures::FutureExt;

    use super::*;

    const COST: HashingCost = HashingCost::DEFAULT;

    fn master_key() -> Arc<MasterKey> {
        Arc::new(MasterKey::parse(&BASE64_STANDARD.encode([1; 32])).unwrap())
    }

    fn password(text: &str) -> Password {
        Password::parse_given(text.to_owned()).unwrap()
    }

    #[test]
    fn a_hash_is_argon2id_with_the_decided_parameters() {
        let stored = hash(&master_key(), b"correct horse battery", COST).unwrap();

        assert!(
            stored.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            stored.phc
        );
        let parsed = PasswordHash::new(&stored.phc).unwrap();
        assert_eq!(parsed.salt.unwrap().len(), SALT_BYTES);
        assert_eq!(parsed.hash.unwrap().len(), TAG_BYTES);
    }

    #[test]
    fn passwords_are_compared_exactly_as_they_were_received() {
        let pairs = [
            ("correct horse battery", "correct horse battery "),
            ("NUL \0 and what follows", "NUL \0 and what comes"),
            ("composed \u{e9} ........", "composed e\u{301} ........"),
        ];
        for (right, wrong) in pairs {
            let stored = hash(&master_key(), right.as_bytes(), COST).unwrap();

            assert_eq!(
                compare(&master_key(), right.as_bytes(), &stored, COST).unwrap(),
                Comparison::Right
            );
            assert_eq!(
                compare(&master_key(), wrong.as_bytes(), &stored, COST).unwrap(),
                Comparison::Wrong
            );
        }
    }

    #[test]
    fn a_right_password_replaces_a_weaker_hash() {
        let weak = hash_with(&master_key(), b"password", Params::new(7_168, 1, 1, None).unwrap()).unwrap();

        let Comparison::RightButWeak(stronger) = compare(&master_key(), b"password", &weak, COST).unwrap() else {
            panic!("a weak hash was not noticed");
        };

        assert_eq!(
            compare(&master_key(), b"password", &stronger, COST).unwrap(),
            Comparison::Right
        );
        assert_eq!(
            compare(&master_key(), b"wrong", &weak, COST).unwrap(),
            Comparison::Wrong
        );
    }

    #[test]
    fn a_hash_of_another_pepper_is_an_error_and_no_wrong_password() {
        let mut stored = hash(&master_key(), b"password", COST).unwrap();
        stored.pepper_id = "another".to_owned();

        assert!(compare(&master_key(), b"password", &stored, COST).is_err());
    }

    #[tokio::test]
    async fn without_an_account_or_without_a_password_none_is_right() {
        let hasher = Hasher::new(master_key(), 1, COST).unwrap();

        let no_password = StoredHash {
            phc: String::new(),
            pepper_id: String::new(),
        };

        for stored in [None, Some(no_password)] {
            let place = hasher.enter(Caller::Stranger).unwrap();
            let comparison = hasher.compare(password("anything"), stored, place).await;
            assert_eq!(comparison.unwrap(), Comparison::Wrong);
        }
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_told_apart_from_failure() {
        let hasher = Hasher::new(master_key(), 1, COST).unwrap();
        let _core = Arc::clone(&hasher.cores).try_acquire_owned().unwrap();

        let place = hasher.enter(Caller::Stranger).unwrap();
        let waited_too_long = hasher.hash(password("password"), place).await;
        assert!(matches!(waited_too_long, Err(Error::Busy)));

        let places = u32::try_from(QUEUE + 1).unwrap();
        let _places = Arc::clone(&hasher.places).try_acquire_many_owned(places).unwrap();
        assert!(matches!(hasher.enter(Caller::Stranger), Err(Error::Busy)));
        assert!(hasher.enter(Caller::Known).is_ok());
    }

    #[tokio::test]
    async fn a_known_caller_waits_behind_no_queue_of_strangers() {
        let hasher = Hasher::new(master_key(), 1, COST).unwrap();
        let core = Arc::clone(&hasher.cores).try_acquire_owned().unwrap();
        let order = std::sync::Mutex::new(Vec::new());
        let waiting = |caller, number: usize| {
            let (hasher, order) = (&hasher, &order);
            async move {
                let held = hasher.turn(caller).await.unwrap();
                order.lock().unwrap().push(number);
                drop(held);
            }
        };

        // Each is polled once, in this order, before the core is free.
        let strangers = (0..50).map(|number| waiting(Caller::Stranger, number).boxed());
        let mut all: Vec<_> = strangers.collect();
        all.push(waiting(Caller::Known, 99).boxed());
        let free = async move { drop(core) };
        futures::future::join(futures::future::join_all(all), free).await;

        let place = order.lock().unwrap().iter().position(|number| *number == 99).unwrap();
        assert_eq!(place, 1, "behind the one stranger whose turn it was");
    }
}
