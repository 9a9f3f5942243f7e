//! Answers to reads that are kept, as the contract says how long and for whom (RFC 9111, 5861 and 9211).

pub(crate) mod feed;
mod figures;
mod flights;
mod generations;
mod headers;
mod kept;
mod store;

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use service::metrics::Metrics;
use uuid::Uuid;

use crate::call::{Call, Detached};
use crate::policy::{Keeping, Sharing};
use crate::problem::Problem;
use crate::{respond, unary};
use figures::Figures;
use flights::{Flight, Flights, Landing, Leader};
use generations::{Change, Generations, Stamp};
use headers::{CacheStatus, Forwarded, Wish};
use kept::{Kept, Usable};
use store::{Key, Store};

pub(crate) use headers::status_of;
pub use store::CacheSettings;

/// What is kept, and what is known to have changed.
pub(crate) struct Cache {
    store: Store,
    generations: Generations,
    flights: Flights,
    figures: Figures,
}

/// A write of a user's own. When it is over, however it ends, what is kept of its source is old: the user reads what was
/// written.
pub(crate) struct OwnWrite<'a> {
    cache: &'a Cache,
    user: Uuid,
    source: &'a str,
}

/// Where an answer came from.
enum Fetched {
    Alone {
        is_kept: bool,
    },
    /// Another caller's read was waited for.
    Together,
}

impl Cache {
    pub(crate) fn new(settings: CacheSettings, metrics: &Metrics) -> Arc<Self> {
        let cache = Arc::new(Self {
            store: Store::new(settings),
            generations: Generations::new(),
            flights: Flights::new(),
            figures: Figures::new(metrics),
        });
        figures::observe(&cache, metrics);
        cache
    }

    /// For operators.
    pub(crate) fn state(&self) -> serde_json::Value {
        serde_json::json!({
            "bytes": self.store.bytes(),
            "is_hearing_events": self.generations.is_connected(),
            "hits": self.figures.hits.get(),
            "stale": self.figures.stale.get(),
            "misses": self.figures.misses.get(),
            "collapsed": self.figures.collapsed.get(),
        })
    }

    /// To be held while a call runs that may change something.
    pub(crate) fn own_write<'a>(
        &'a self,
        http_method: &str,
        user: Option<Uuid>,
        source: &'a str,
    ) -> Option<OwnWrite<'a>> {
        let user = user.filter(|_| http_method != "GET")?;
        Some(OwnWrite {
            cache: self,
            user,
            source,
        })
    }

    /// What is kept under the key, and what it is good for.
    fn find(&self, call: &Call<'_>, keeping: &Keeping, key: &Key, now: Instant) -> Option<(Arc<Kept>, Usable)> {
        let kept = self.store.find(call.worker.edge.settings.load().cache, key)?;
        let change = self.change_since(kept.stamp, key, &call.endpoint.source);
        let age = now.saturating_duration_since(kept.asked);
        let usable = Usable::at_age(age, keeping, change);
        Some((kept, usable))
    }

    fn stamp(&self, key: &Key, source: &str) -> Option<Stamp> {
        key.user.map(|user| self.generations.stamp(user, source))
    }

    fn change_since(&self, stamp: Option<Stamp>, key: &Key, source: &str) -> Change {
        match (stamp, key.user) {
            (Some(stamp), Some(user)) => self.generations.change_since(stamp, user, source),
            (None, _) | (_, None) => Change::None,
        }
    }
}

impl Drop for OwnWrite<'_> {
    fn drop(&mut self) {
        self.cache.generations.advance(self.user, self.source);
    }
}

/// Answers a read out of what is kept, or asks the service. Whether the caller may have it was checked before.
pub(crate) async fn answer(mut call: Call<'_>, keeping: &Keeping, message: Bytes) -> Result<HttpResponse, Problem> {
    let cache = Arc::clone(&call.worker.edge.cache);
    let user = match keeping.sharing {
        Sharing::Everyone => None,
        Sharing::SameUser => Some(call.admitted.user.ok_or_else(Problem::internal)?),
    };
    let route = call.found.index;
    let key = Key { route, user, message };
    let wish = Wish::of(call.request);
    let found = cache.find(&call, keeping, &key, Instant::now());
    match (&found, wish) {
        (Some((kept, usable @ Usable::Fresh)), Wish::Any) => return Ok(hit(&call, keeping, kept, *usable)),
        (Some((kept, usable @ Usable::WhileRevalidating)), Wish::Any) => {
            revalidate(&call, keeping, &key);
            return Ok(hit(&call, keeping, kept, *usable));
        }
        (Some(_) | None, Wish::Any | Wish::Newest | Wish::NotKept) => {}
    }
    let forwarded = match wish {
        Wish::Newest => Forwarded::Request,
        Wish::NotKept => Forwarded::Bypass,
        Wish::Any if found.is_some() => Forwarded::Stale,
        Wish::Any => Forwarded::Miss,
    };
    let fetched = match wish {
        Wish::Any => fetch_together(&mut call, keeping, &key).await,
        Wish::Newest | Wish::NotKept => fetch(&mut call, &key, wish != Wish::NotKept).await,
    };
    match (fetched, found) {
        (Ok((kept, fetched)), _) => Ok(fresh(&call, keeping, &kept, forwarded, &fetched)),
        (Err(problem), Some((kept, usable))) if usable != Usable::Never && is_failure(&problem) => {
            Ok(hit(&call, keeping, &kept, Usable::IfError))
        }
        (Err(problem), _) => Err(problem),
    }
}

/// Asks the service, unless somebody is asking it just that: then their answer is waited for.
async fn fetch_together(call: &mut Call<'_>, keeping: &Keeping, key: &Key) -> Result<(Arc<Kept>, Fetched), Problem> {
    let cache = Arc::clone(&call.worker.edge.cache);
    loop {
        let follower = match cache.flights.join(key.clone(), cache.stamp(key, &call.endpoint.source)) {
            Flight::Lead(leader) => return lead(call, keeping, key, leader).await,
            Flight::Follow(follower) => follower,
        };
        cache.figures.collapsed.inc();
        match call.deadline.limit(follower.landing()).await? {
            Some(Landing::Answered(kept)) => return Ok((kept, Fetched::Together)),
            Some(Landing::Unavailable(problem)) => return Err(problem),
            Some(Landing::ForItsCallerAlone) => return fetch(call, key, true).await,
            // The one that was asking has hung up, or has run out of time.
            None => {}
        }
    }
}

async fn lead(
    call: &mut Call<'_>,
    keeping: &Keeping,
    key: &Key,
    leader: Leader,
) -> Result<(Arc<Kept>, Fetched), Problem> {
    let cache = Arc::clone(&call.worker.edge.cache);
    // Somebody may have landed since the first look.
    if let Some((kept, Usable::Fresh)) = cache.find(call, keeping, key, Instant::now()) {
        leader.land(Landing::Answered(Arc::clone(&kept)));
        return Ok((kept, Fetched::Together));
    }
    let outcome = fetch(call, key, true).await;
    match &outcome {
        Ok((kept, _)) => leader.land(Landing::Answered(Arc::clone(kept))),
        Err(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
            leader.land(Landing::Unavailable(problem.clone()));
        }
        // It had less time than the others have left: one of them asks next, and the rest wait for that one.
        Err(problem) if problem.status == StatusCode::GATEWAY_TIMEOUT => drop(leader),
        Err(_) => leader.land(Landing::ForItsCallerAlone),
    }
    outcome
}

/// Asks the service, and keeps its answer.
async fn fetch(call: &mut Call<'_>, key: &Key, may_keep: bool) -> Result<(Arc<Kept>, Fetched), Problem> {
    let cache = Arc::clone(&call.worker.edge.cache);
    let (asked, stamp) = (Instant::now(), cache.stamp(key, &call.endpoint.source));
    let outcome = unary::send(call, key.message.clone()).await?;
    let message = outcome.map_err(|status| call.problem(&status))?;
    let kept = Arc::new(Kept {
        content: respond::content(call, &message)?,
        asked,
        stamp,
    });
    let is_old = cache.change_since(stamp, key, &call.endpoint.source) == Change::Known;
    let settings = call.worker.edge.settings.load().cache;
    let is_kept = may_keep && !is_old && cache.store.keep(settings, key, &kept);
    Ok((kept, Fetched::Alone { is_kept }))
}

/// Fetches a new answer while the caller already has the old one.
fn revalidate(call: &Call<'_>, keeping: &Keeping, key: &Key) {
    let cache = &call.worker.edge.cache;
    let Flight::Lead(leader) = cache.flights.join(key.clone(), cache.stamp(key, &call.endpoint.source)) else {
        return;
    };
    let (mut detached, keeping, key) = (Detached::of(call), *keeping, key.clone());
    actix_web::rt::spawn(async move {
        let Some(mut call) = detached.call() else { return };
        // Its outcome is in what is kept, or there is none: the next caller sees to it.
        let _ = lead(&mut call, &keeping, &key, leader).await;
    });
}

/// What an old answer is better than. Other errors are answers too.
fn is_failure(problem: &Problem) -> bool {
    matches!(problem.status.as_u16(), 500 | 502..=504)
}

fn hit(call: &Call<'_>, keeping: &Keeping, kept: &Kept, usable: Usable) -> HttpResponse {
    let figures = &call.worker.edge.cache.figures;
    match usable {
        Usable::Fresh => figures.hits.inc(),
        Usable::WhileRevalidating | Usable::IfError | Usable::Never => figures.stale.inc(),
    };
    let age = kept.asked.elapsed();
    let time_to_live = kept::time_to_live(age, keeping, usable);
    let mut response = respond::from_content(call, &kept.content);
    headers::mark(&mut response, keeping, CacheStatus::Hit { age, time_to_live });
    response
}

fn fresh(call: &Call<'_>, keeping: &Keeping, kept: &Kept, forwarded: Forwarded, fetched: &Fetched) -> HttpResponse {
    let figures = &call.worker.edge.cache.figures;
    let status = match fetched {
        Fetched::Alone { is_kept } => {
            figures.misses.inc();
            CacheStatus::Forwarded {
                forwarded,
                is_kept: *is_kept,
            }
        }
        Fetched::Together => CacheStatus::Collapsed { forwarded },
    };
    let mut response = respond::from_content(call, &kept.content);
    headers::mark(&mut response, keeping, status);
    response
}
