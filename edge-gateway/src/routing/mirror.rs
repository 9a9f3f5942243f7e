//! Calls that are sent a second time to somewhere else. The caller never waits for them and never sees their answers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use bytes::Bytes;
use tokio::sync::oneshot;
use tonic::{Code, Request, Status};

use super::budget::Budget;
use super::share::Share;
use super::table::{Table, TargetIndex, share};
use super::{MirrorSettings, Mirrored, MirroredLabels};
use crate::call::Call;
use crate::upstream::{Destination, Picked, UpstreamIndex};

pub(crate) struct Mirror {
    pub(super) upstream: UpstreamIndex,
    share: Share,
    target: TargetIndex,
    budget: Budget,
    began: Instant,
    name: Arc<str>,
    mirrored: Mirrored,
}

/// The mirrored calls of one call, which wait for its status to compare theirs with.
pub(crate) struct Shadow(Vec<oneshot::Sender<Code>>);

impl Mirror {
    pub(super) fn compile(
        settings: &MirrorSettings,
        upstream: UpstreamIndex,
        target: TargetIndex,
        mirrored: &Mirrored,
    ) -> anyhow::Result<Self> {
        ensure!(settings.concurrency > 0, "a concurrency of 0 sends nothing");
        ensure!(settings.rate > 0, "a rate of 0 sends nothing");
        Ok(Self {
            upstream,
            share: share(&settings.name, settings.share)?,
            target,
            budget: Budget::new(settings.concurrency, settings.rate),
            began: Instant::now(),
            name: settings.name.as_str().into(),
            mirrored: mirrored.clone(),
        })
    }

    fn count(&self, outcome: &'static str) {
        let labels = MirroredLabels {
            mirror: Arc::clone(&self.name),
            outcome,
        };
        self.mirrored.get_or_create(&labels).inc();
    }

    /// Sends the call, unless the budget is used up.
    fn send(self: &Arc<Self>, table: &Arc<Table>, call: &Call<'_>, message: &Bytes) -> Option<oneshot::Sender<Code>> {
        let Some(place) = self.budget.take(self.began.elapsed()) else {
            self.count("over_budget");
            return None;
        };
        let grpc_request = call.grpc_request(message.clone(), Some(call.deadline.remaining()));
        let answer = answer(
            call.worker.target(table, self.target)?,
            grpc_request,
            call.endpoint.rpc_path.clone(),
        );
        let deadline = call.deadline;
        let mirror = Arc::clone(self);
        let (sender, original) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let code = deadline.limit(answer).await.unwrap_or(Code::DeadlineExceeded);
            drop(place);
            mirror.count(match original.await {
                Ok(original) if original == code => "match",
                Ok(_) => "mismatch",
                Err(_) => "original_unanswered",
            });
        });
        Some(sender)
    }
}

/// Sends a call to its mirrors. Only what has no side effects may happen twice.
pub(crate) fn shadow(call: &Call<'_>, message: &Bytes) -> Option<Shadow> {
    let table = call.worker.edge.router.table();
    let upstream = call.worker.edge.served_by[call.found.index];
    let mut mirrors = table.mirrors_of(upstream).peekable();
    if mirrors.peek().is_none() || !call.endpoint.repeat.has_no_side_effects {
        return None;
    }
    let taken = mirrors.filter(|mirror| mirror.share.takes(rand::random()));
    Some(Shadow(
        taken.filter_map(|mirror| mirror.send(&table, call, message)).collect(),
    ))
}

impl Shadow {
    /// Tells the mirrored calls what the caller's own came to.
    pub(crate) fn compare<T>(self, outcome: &Result<T, Status>) {
        let code = outcome.as_ref().map_or_else(Status::code, |_| Code::Ok);
        for sender in self.0 {
            // Nobody listens when the mirrored call was lost with its worker.
            let _ = sender.send(code);
        }
    }
}

async fn answer(destination: Rc<Destination>, request: Request<Bytes>, path: http::uri::PathAndQuery) -> Code {
    let Some(Picked { connection, mut ticket }) = destination.for_calls() else {
        return Code::Unavailable;
    };
    let outcome = connection.unary(request, path).await;
    ticket.note(&outcome);
    outcome.map_or_else(|status| status.code(), |_| Code::Ok)
}
